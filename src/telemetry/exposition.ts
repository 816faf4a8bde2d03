/** "grpc.handler_failed" → "millrace_grpc_handler_failed". */
export function exportedName(id: string): string {
  return `millrace_${id.replaceAll(/[^a-zA-Z0-9]/g, "_")}`;
}

export function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** The lines before the samples of a metric. */
export function header(name: string, type: "gauge" | "counter", help: string): string {
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
}

export type Labels = Readonly<Record<string, string | number>>;

/** One line of the text format. */
export function sample(name: string, value: number, labels: Labels = {}): string {
  const pairs = Object.entries(labels).map(([key, each]) => `${key}="${escapeLabel(String(each))}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
