/** What Doctor looks at. One subject a call: a dead mount keeps only its own subject from an answer. */
import { homedir } from 'node:os';
import { sep } from 'node:path';
import { checkBackupsFolder, type NamedDatabase } from './backupsFolder.ts';
import type { Check } from './check.ts';
import { checkDatabase } from './database.ts';
import { checkEnvironment } from './environment.ts';

export type DoctorSubject =
  | { kind: 'environment'; toolVersion: string }
  | { kind: 'database'; path: string }
  | { kind: 'backupsFolder'; path: string; databases: NamedDatabase[] };

export async function examine(subject: DoctorSubject, now = new Date()): Promise<Check[]> {
  const checks = await checksOf(subject, now);
  return checks.map(({ text, advice, ...rest }) => ({
    ...rest,
    text: withoutHome(text),
    ...(advice !== undefined && { advice: withoutHome(advice) }),
  }));
}

function checksOf(subject: DoctorSubject, now: Date): Promise<Check[]> {
  switch (subject.kind) {
    case 'environment':
      return checkEnvironment(subject.toolVersion);
    case 'database':
      return checkDatabase(subject.path);
    case 'backupsFolder':
      return checkBackupsFolder(subject.path, subject.databases, now);
  }
}

/** A report is copied into a public issue, and the home folder has the name of the user in it. */
function withoutHome(text: string): string {
  const home = homedir();
  return home.length > 1 ? text.replaceAll(home + sep, `~${sep}`) : text;
}
