/** What Doctor says of copies off the machine. No address and no secret: the report is copied into public issues. */
import { isBackupError } from '../errors.ts';
import { stateOf } from '../offsite/destination.ts';
import { type Access, openEngine, openPlace } from '../offsite/place.ts';
import { isFuture, isProofDue } from '../offsite/due.ts';
import { type Check, looked, note, ok, problem } from './check.ts';

const dayMs = 24 * 60 * 60 * 1000;

export interface OffsiteSubject extends Access {
  /** Whether to ask the place itself, over the network. */
  reach: boolean;
}

export async function checkOffsite(
  { reach, ...access }: OffsiteSubject,
  now = Date.now(),
): Promise<Check[]> {
  const { name, engine } = access.destination;
  return [
    ...(await looked(engine, () => told(async () => [await checkEngine(access)]))),
    ...(await looked(name, () => checkState(access, now))),
    ...(reach ? await looked(name, () => told(async () => [await checkPlace(access)])) : []),
  ];
}

async function checkEngine(access: Access): Promise<Check> {
  const { version } = await openEngine(access);
  return ok(`The engine is ${access.destination.engine} ${version}.`);
}

async function checkPlace(access: Access): Promise<Check> {
  const { name } = access.destination;
  return (await (await openPlace(access)).exists())
    ? ok(`${name} answers.`)
    : problem(`${name} has no restic repository yet.`, 'Set it up again.');
}

function checkState({ destination }: Access, now: number): Check[] {
  const { provedAt, trouble } = stateOf(destination);
  const failed = trouble === undefined ? [] : [note(`The last run failed: ${trouble.message}`)];
  if (provedAt === undefined)
    return [...failed, note('No copy was proved yet.', 'Send one: sqlite-backup offsite send')];
  const days = Math.max(0, Math.floor((now - Date.parse(provedAt)) / dayMs));
  const age = isFuture(provedAt, now)
    ? 'The last proof is dated in the future: a clock was or is wrong.'
    : days === 0
      ? 'The last proof is from today.'
      : `The last proof is ${days} days old.`;
  if (!isProofDue(provedAt, now)) return [...failed, ok(age)];
  return [...failed, problem(age, 'Prove it again: sqlite-backup offsite prove')];
}

/** What is wrong with an engine or a place has words and a way on. */
async function told(look: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await look();
  } catch (error) {
    if (!isBackupError(error)) throw error;
    return [problem(error.message, error.hint)];
  }
}
