import { AssignerProtocol, type PartitionAssigner } from "kafkajs";

const NAME = "jobmesh-own-partitions";
const VERSION = 1;

/**
 * Kafka gives the partitions of a topic to the members of a group; kafkajs has
 * no way to read without one. Here every member names the partitions that it
 * wants, in its user data, and gets exactly those.
 */
export function ownPartitions(topic: string, partitions: readonly number[]): PartitionAssigner {
  const userData = Buffer.from(JSON.stringify({ [topic]: partitions }));
  return () => ({
    name: NAME,
    version: VERSION,
    protocol: ({ topics }) => ({
      name: NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics, userData }),
    }),
    assign: async ({ members }) =>
      members.map(({ memberId, memberMetadata }) => {
        const wanted = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData ?? userData;
        const assignment = JSON.parse(wanted.toString("utf8")) as Record<string, number[]>;
        const memberAssignment = { version: VERSION, assignment, userData: Buffer.alloc(0) };
        return { memberId, memberAssignment: AssignerProtocol.MemberAssignment.encode(memberAssignment) };
      }),
  });
}
