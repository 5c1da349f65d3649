import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the range that Linux takes the ports of outgoing connections from (32768 up), so that a server that is down
 * in an outage test finds its port free when it comes back.
 */
const range = { first: 11_000, last: 31_999 };
const maxTries = 200;

/** Ports of 127.0.0.1 that nothing listens on now, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries === maxTries) throw new Error(`no ${count} free ports found in ${range.first}–${range.last}`);
    const port = randomInt(range.first, range.last + 1);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

const maxPortTries = 3;
const taken = /address already in use|AddressInUse|BindException|port is already allocated/i;

/** Starts something on free ports, on others when somebody took one between our look and its bind; gives the ports. */
export async function startOnPorts(
  count: number,
  choosePorts: (count: number) => Promise<number[]>,
  start: (ports: readonly number[]) => Promise<void>,
): Promise<number[]> {
  for (let tries = 1; ; tries++) {
    const ports = await choosePorts(count);
    try {
      await start(ports);
      return ports;
    } catch (error) {
      if (tries === maxPortTries || !taken.test(String(error))) throw error;
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
