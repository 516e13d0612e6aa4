/** An agent pays for each word, and a model reads no more with care. */
const mostBytes = 2000;
/** One long line leaves room for others. */
const mostOfLine = 900;

/** As many whole lines as fit into 2 KB, the last one always, with the number of those that are left out. */
export function fitting(lines: readonly string[]): string {
  const [only = ''] = lines;
  if (lines.length < 2) return begun(only, mostBytes);
  const [first = '', ...others] = lines.map((line) => begun(line, mostOfLine));
  const last = others.pop() ?? '';
  const room = mostBytes - Buffer.byteLength(last) - 40;
  let text = first;
  for (const [index, line] of others.entries()) {
    if (Buffer.byteLength(text) + Buffer.byteLength(line) >= room)
      return `${text}\n(${others.length - index} more lines are left out)\n${last}`;
    text += `\n${line}`;
  }
  return `${text}\n${last}`;
}

function begun(line: string, most: number): string {
  const bytes = Buffer.from(line);
  return bytes.length <= most ? line : `${bytes.subarray(0, most - 8).toString('utf8')}…`;
}
