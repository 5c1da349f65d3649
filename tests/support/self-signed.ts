/** Certificates made without a tool, each of its own authority: no key is kept in the repository. */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";

/** A certificate that vouches for itself, with its key, both in PEM. */
export type SelfSigned = { readonly cert: string; readonly key: string };

const SEQUENCE = 0x30;
const SET = 0x31;
const ECDSA_WITH_SHA256 = tlv(SEQUENCE, oid(1, 2, 840, 10045, 4, 3, 2));
const DAY_MS = 86_400_000;

/** Makes a certificate for 127.0.0.1 and localhost, or for one other name; valid from yesterday to `notAfter`. */
export function selfSigned(name = "localhost", notAfter: Date = new Date(Date.now() + DAY_MS)): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, oid(2, 5, 4, 3), tlv(0x0c, Buffer.from(name)))));
  const names = [
    tlv(0x82, Buffer.from(name)),
    ...(name === "localhost" ? [tlv(0x87, Buffer.from([127, 0, 0, 1]))] : []),
  ];
  const body = tlv(
    SEQUENCE,
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    subject,
    tlv(SEQUENCE, time(new Date(Math.min(Date.now(), notAfter.getTime()) - DAY_MS)), time(notAfter)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, tlv(SEQUENCE, extension(oid(2, 5, 29, 17), tlv(SEQUENCE, ...names)))),
  );
  const signature = sign("sha256", body, privateKey);
  const der = tlv(SEQUENCE, body, ECDSA_WITH_SHA256, tlv(0x03, Buffer.from([0]), signature));
  return {
    cert: new X509Certificate(der).toString(),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function extension(id: Buffer, value: Buffer): Buffer {
  return tlv(SEQUENCE, id, tlv(0x04, value));
}

/** GeneralizedTime. */
function time(at: Date): Buffer {
  return tlv(0x18, Buffer.from(at.toISOString().replace(/[-:T]|\.\d+/g, "")));
}

function oid(first: number, second: number, ...rest: number[]): Buffer {
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}

/** DER: a tag, the length, the content. */
function tlv(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length: number[] = [];
  for (let left = body.length; left > 0; left >>= 8) length.unshift(left & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), body]);
}
