/** What SQLite Backup needs of the machine, whatever the databases are. */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { dataFolderPath } from '../files/dataFolder.ts';
import { freeBytes } from '../files/space.ts';
import { firstMissingFolder } from '../files/workplace.ts';
import { isBackupError } from '../errors.ts';
import { requireDriver, sqliteVersion } from '../sqlite/driver.ts';
import { formatBytes } from '../units.ts';
import { type Check, looked, note, ok, problem } from './check.ts';
import { dirname } from 'node:path';

const littleRoom = 100e6;

export async function checkEnvironment(toolVersion: string): Promise<Check[]> {
  const { node } = process.versions;
  const system = `${process.platform}-${process.arch} ${release()}`;
  return [
    ok(`SQLite Backup ${toolVersion}, Node.js ${node}, ${system}.`),
    ...(await looked('SQLite', checkDriver)),
    ...(await looked('The data folder', checkDataFolder)),
    ...(await looked('The temporary folder', checkTemporaryFolder)),
  ];
}

function checkDriver(): Check[] {
  try {
    requireDriver();
    return [ok(`SQLite ${sqliteVersion()} is loaded.`)];
  } catch (error) {
    if (!isBackupError(error)) throw error;
    return [problem(error.message, error.hint)];
  }
}

function checkDataFolder(): Check[] {
  const folder = dataFolderPath();
  const existing = existingPartOf(folder);
  const checks: Check[] = [];
  if (mayWrite(existing)) checks.push(ok(`The data folder is ${folder}.`));
  else
    checks.push(
      problem(
        `The data folder ${folder} cannot be written, so databases cannot be recognised after a move.`,
        'Change its permissions, or set XDG_DATA_HOME to a folder that this user can write.',
      ),
    );
  if (isInContainer() && statSync(existing).dev === statSync('/').dev)
    checks.push(
      problem(
        `This is a container, and the data folder ${folder} is lost when the container is rebuilt.`,
        'Mount a volume there.',
      ),
    );
  return checks;
}

function checkTemporaryFolder(): Check[] {
  const folder = tmpdir();
  if (!mayWrite(folder))
    return [problem(`The temporary folder ${folder} cannot be written.`, 'Set TMPDIR to another.')];
  const free = freeBytes(folder);
  return free < littleRoom
    ? [
        note(
          `The temporary folder ${folder} has only ${formatBytes(free)} free. Checks of databases that cannot be read in place need room there.`,
          'Free some space, or set TMPDIR to another folder.',
        ),
      ]
    : [];
}

/** A dev container, a Codespace, or any other container of Docker or Podman. */
function isInContainer(): boolean {
  const names = ['REMOTE_CONTAINERS', 'CODESPACES'];
  return (
    names.some((name) => process.env[name] !== undefined) ||
    ['/.dockerenv', '/run/.containerenv'].some((path) => existsSync(path))
  );
}

function existingPartOf(folder: string): string {
  const missing = firstMissingFolder(folder);
  return missing === undefined ? folder : dirname(missing);
}

export function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
