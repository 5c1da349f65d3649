/** One line that says what went wrong in a call to etcd, without the names of etcd3's classes. */
export function faultText(fault: unknown): string {
  const text = fault instanceof Error ? fault.message : String(fault);
  const line = text.split("\n")[0] ?? "";
  return line.replace(/^(?:GRPC|Etcd)\w*Error: /, "").slice(0, 300);
}
