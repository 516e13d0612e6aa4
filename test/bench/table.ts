import { median, type Pairs } from './statistics.ts';

export interface Comparison extends Pairs {
  what: string;
  against: string;
  unit: 's' | 'ms' | 'MB';
  /** What the medians should be to each other; without it the row is for orientation. */
  aim?: { text: string; isMet: (ours: number, peer: number) => boolean };
  note?: string;
}

/** The aim that ours is at most `most` times the peer. */
export function ratioUpTo(most: number): NonNullable<Comparison['aim']> {
  return { text: `<= ${most.toFixed(2)}x`, isMet: (ours, peer) => ours <= most * peer };
}

const heads = ['row', 'what', 'ours (median, range)', 'against', 'peer', 'ratio', 'aim', 'verdict'];

/** The rows as a Markdown table that is also readable as it is, with the notes below. */
export function formatTable(results: { row: string; comparison: Comparison }[]): string {
  const lines = results.map(({ row, comparison }) => cellsOf(row, comparison));
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const notes = results.flatMap(({ row, comparison: { note } }) =>
    note ? [`${row}: ${note}`] : [],
  );
  return [
    line(heads),
    line(widths.map((width) => '-'.repeat(width))),
    ...lines.map(line),
    '',
    ...new Set(notes),
  ].join('\n');
}

function cellsOf(row: string, { what, against, unit, ours, peer, aim }: Comparison): string[] {
  const [a, b] = [median(ours), median(peer)];
  const verdict = aim === undefined ? '' : aim.isMet(a, b) ? 'met' : 'MISSED';
  const shown = [formatRange(ours, unit), against, formatRange(peer, unit)];
  return [row, what, ...shown, (a / b).toFixed(2), aim?.text ?? '', verdict];
}

function formatRange(numbers: number[], unit: Comparison['unit']): string {
  const digits = unit === 'MB' ? 0 : 2;
  const [middle, least, most] = [median(numbers), Math.min(...numbers), Math.max(...numbers)].map(
    (number) => number.toFixed(digits),
  );
  return `${middle} ${unit} (${least}-${most})`;
}
