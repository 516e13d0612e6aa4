/** What an agent has changed in each turn of its sessions: told by the causes of checkpoints. */
import type { CatalogEntry } from '../catalog/catalog.ts';
import type { RowChange } from './rows.ts';

/** The text of the cause of what is saved when a person has sent a prompt, before the agent does anything. */
export const turnBegins = 'prompt';
/** The same for when the agent has finished. */
export const turnEnds = 'end of turn';

export interface Turn {
  /** The id of the database. */
  group: string;
  session: string;
  turn: string;
  /** The checkpoint with the state before the turn; undefined when none is kept. */
  before?: string;
  /** The last checkpoint that the turn has made, and when. */
  last: string;
  at: string;
}

/** `orders −120 rows (12,133 → 12,013)` */
export function changeText({ table, before, now }: RowChange): string {
  const number = (rows: number): string => rows.toLocaleString('en');
  if (now === undefined) return `table ${table} is gone (${number(before ?? 0)} rows)`;
  if (before === undefined) return `table ${table} is new (${number(now)} rows)`;
  const by = `${now < before ? '−' : '+'}${number(Math.abs(now - before))}`;
  return `${table} ${by} rows (${number(before)} → ${number(now)})`;
}

/** What a list can show of each database. */
const mostTurns = 50;

/** The newest turns of each database, newest first. Entries are newest first, too. */
export function turnsIn(entries: readonly CatalogEntry[]): Turn[] {
  const groups = Map.groupBy(entries, ({ group }) => group);
  return [...groups].flatMap(([group, own]) =>
    group === undefined ? [] : turnsOf(group, own).slice(0, mostTurns),
  );
}

function turnsOf(group: string, entries: readonly CatalogEntry[]): Turn[] {
  const found = new Map<string, Turn>();
  const whole = entries.filter(isWhole);
  for (const [index, entry] of whole.entries()) {
    const { kind, session, turn, text } = entry.kept?.cause ?? {};
    if (kind !== 'agent' || session === undefined || turn === undefined) continue;
    const key = JSON.stringify([session, turn]);
    const one = found.get(key) ?? {
      ...{ group, session, turn },
      ...{ last: entry.path, at: entry.createdAt },
    };
    // What was unchanged when the turn began is in an older checkpoint, whatever that was taken for.
    const before = text === turnBegins ? entry : whole[index + 1];
    delete one.before;
    if (before !== undefined) one.before = before.path;
    found.set(key, one);
  }
  return [...found.values()];
}

function isWhole({ verified }: CatalogEntry): boolean {
  return verified !== 'damaged';
}
