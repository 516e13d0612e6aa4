/** Where copies go that leave this machine: what a person chose, and what is remembered of each place. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { BackupError } from '../errors.ts';
import { dataFolderPath, makeDataFolder } from '../files/dataFolder.ts';
import { replacePrivateFile } from '../files/publish.ts';

const destinationSchema = v.object({
  name: v.pipe(v.string(), v.regex(/^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u)),
  engine: v.picklist(['restic', 'rclone']),
  /** As the engine names it. Never holds a secret. */
  repository: v.pipe(v.string(), v.minLength(1), v.maxLength(2048)),
  what: v.optional(v.picklist(['newest', 'all', 'pinned']), 'newest'),
  when: v.optional(v.picklist(['manual', 'daily', 'afterEach']), 'manual'),
  /** Both are restic's own ways to a password. */
  passwordCommand: v.optional(v.string()),
  passwordFile: v.optional(v.string()),
  /** The absolute path of the engine; else it is looked for in PATH. */
  program: v.optional(v.string()),
});
export type Destination = v.InferOutput<typeof destinationSchema>;

/** Checks what a person or a settings file says. Throws `bad-setting`. */
export function requireDestination(value: unknown): Destination {
  const parsed = v.safeParse(destinationSchema, value);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw bad(
      `The off-machine destination is not valid: ${v.getDotPath(issue) ?? 'value'}: ${issue.message}.`,
      'Name, engine (restic or rclone) and repository are needed.',
    );
  }
  const { name, repository, engine } = parsed.output;
  if (/[\p{Cc}]/u.test(repository) || repository.startsWith('-'))
    throw bad(`The repository of ${name} is not an address.`, 'Check the repository.');
  if (holdsSecret(repository))
    throw bad(
      `The repository of ${name} contains a password. Settings and process lists would show it.`,
      'Use a configured rclone remote, or the environment variables of the engine.',
    );
  if (engine === 'rclone' && !/^[^:/\\]+:|^\/|^[A-Za-z]:[\\/]/.test(repository))
    throw bad(
      `The repository of ${name} is not an rclone address.`,
      'Write REMOTE:PATH. `rclone listremotes` lists the remotes.',
    );
  return parsed.output;
}

function holdsSecret(repository: string): boolean {
  return (
    /\/\/[^/@]*:[^/@]+@/.test(repository) ||
    /[,:]\w*(pass|secret|token|key|sas)\w*\s*=/i.test(repository)
  );
}

function bad(message: string, hint: string): BackupError {
  return new BackupError('bad-setting', message, { hint });
}

/** Names the place itself: another repository under an old name is another place. */
export function placeOf({
  engine,
  repository,
}: Pick<Destination, 'engine' | 'repository'>): string {
  return createHash('sha256').update(`${engine} ${repository}`).digest('hex').slice(0, 12);
}

const troubleSchema = v.object({ reason: v.string(), message: v.string(), at: v.string() });
const stateSchema = v.object({
  triedAt: v.optional(v.string()),
  sentAt: v.optional(v.string()),
  provedAt: v.optional(v.string()),
  trouble: v.optional(troubleSchema),
  /** Folders with backups that are meant to be there. */
  folders: v.optional(v.array(v.string()), []),
  /** When the last sample of all copies was proved. */
  sampledAt: v.optional(v.string()),
  /** The engine of a run that has not ended, or was killed. */
  engineProcess: v.optional(v.object({ pid: v.number(), mark: v.string() })),
});
/** What survives a restart. What still has to be sent is told by the manifests and by the place itself. */
export type PlaceState = v.InferOutput<typeof stateSchema>;

/** What is remembered of a place beside its state, to be quicker next time. Undefined where it cannot be understood. */
export function readMemory<T>(
  destination: Destination,
  what: string,
  schema: v.GenericSchema<unknown, T>,
): T | undefined {
  return read(join(dataFolderPath(), 'offsite', `${placeOf(destination)}.${what}.json`), schema);
}

export function writeMemory(destination: Destination, what: string, content: unknown): void {
  const file = join(makeDataFolder('offsite'), `${placeOf(destination)}.${what}.json`);
  replacePrivateFile(file, `${JSON.stringify(content)}\n`);
}

function read<T>(file: string, schema: v.GenericSchema<unknown, T>): T | undefined {
  try {
    const parsed = v.safeParse(schema, JSON.parse(readFileSync(file, 'utf8')));
    return parsed.success ? parsed.output : undefined;
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Without its memory a place is only slower: each send asks it again what is there. */
export function stateOf(destination: Destination): PlaceState {
  const file = join(dataFolderPath(), 'offsite', `${placeOf(destination)}.json`);
  return read(file, stateSchema) ?? { folders: [] };
}

/** Only while the place is locked: two writers at once would lose what one of them remembers. */
export function remember(destination: Destination, changes: Partial<PlaceState>): void {
  const file = join(makeDataFolder('offsite'), `${placeOf(destination)}.json`);
  replacePrivateFile(file, `${JSON.stringify({ ...stateOf(destination), ...changes })}\n`);
}

const listSchema = v.object({ destinations: v.array(v.unknown()) });
const listName = 'destinations.json';

/** The destinations of the command line. */
export function storedDestinations(): Destination[] {
  const file = join(dataFolderPath(), 'offsite', listName);
  const stored = read(file, listSchema);
  // Else the next setup would write a list without them.
  if (stored === undefined && existsSync(file))
    throw new BackupError('bad-setting', `${file} cannot be understood.`, {
      path: file,
      hint: 'Repair it, or move it away and set the destinations up again: sqlite-backup offsite setup',
    });
  return (stored?.destinations ?? []).map(requireDestination);
}

export function storeDestination(destination: Destination): void {
  const others = storedDestinations().filter(({ name }) => name !== destination.name);
  const text = JSON.stringify({ destinations: [...others, destination] }, null, 2);
  replacePrivateFile(join(makeDataFolder('offsite'), listName), `${text}\n`);
}
