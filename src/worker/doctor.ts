/** Doctor as its faces run it: one call for each subject, so that one that hangs keeps no other from its answer. */
import type { Check } from '../core/doctor/check.ts';
import type { NamedDatabase } from '../core/doctor/backupsFolder.ts';
import type { DoctorSubject } from '../core/doctor/doctor.ts';
import { isBackupError } from '../core/errors.ts';
import type { WorkerClient } from './client.ts';

export interface Section {
  title: string;
  checks: Check[];
}

export interface DoctorRequest {
  toolVersion: string;
  databases: readonly NamedDatabase[];
  folders: readonly { title: string; path: string; databases: NamedDatabase[] }[];
}

interface DoctorOptions {
  signal?: AbortSignal | undefined;
  /** For each subject. */
  patienceMs?: number;
}

export async function runDoctor(
  worker: Pick<WorkerClient, 'call'>,
  { toolVersion, databases, folders }: DoctorRequest,
  { signal, patienceMs = 15_000 }: DoctorOptions = {},
): Promise<Section[]> {
  const wanted: [title: string, subject: DoctorSubject][] = [
    ['This machine', { kind: 'environment', toolVersion }],
    ...databases.map(({ title, path }): [string, DoctorSubject] => [
      title,
      { kind: 'database', path },
    ]),
    ...folders.map(({ title, ...folder }): [string, DoctorSubject] => [
      title,
      { kind: 'backupsFolder', ...folder },
    ]),
  ];
  const sections: Section[] = [];
  for (const [title, subject] of wanted)
    sections.push({ title, checks: await examine(worker, subject, { signal, patienceMs }) });
  return sections;
}

async function examine(
  worker: Pick<WorkerClient, 'call'>,
  subject: DoctorSubject,
  { signal, patienceMs }: { signal: AbortSignal | undefined; patienceMs: number },
): Promise<Check[]> {
  try {
    return await worker.call('examine', subject, { signal, deadlineMs: patienceMs });
  } catch (error) {
    if (!isBackupError(error) || error.code === 'cancelled') throw error;
    if (error.code === 'deadline')
      return [
        {
          status: 'problem',
          text: `There was no answer within ${patienceMs / 1000} s: the disk or a network mount may be dead.`,
          advice: 'Check the mount, or choose another folder.',
        },
      ];
    return [
      {
        status: 'problem',
        text: error.message,
        ...(error.hint !== undefined && { advice: error.hint }),
      },
    ];
  }
}

const marks = { ok: '✓', note: 'i', problem: '✗', unknown: '?' } as const;

/** The report as plain text, to be read and copied. */
export function doctorText(sections: readonly Section[]): string {
  return sections
    .map(({ title, checks }) => [title, ...checks.map(lineOf)].join('\n'))
    .join('\n\n');
}

function lineOf({ status, text, advice }: Check): string {
  return `  ${marks[status]} ${text}${advice === undefined ? '' : `\n      ${advice}`}`;
}

export function hasProblem(sections: readonly Section[]): boolean {
  return sections.some(({ checks }) => checks.some(({ status }) => status === 'problem'));
}
