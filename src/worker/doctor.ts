/** Doctor as its faces run it: one call for each subject, so that one that hangs keeps no other from its answer. */
import type { Check } from '../core/doctor/check.ts';
import type { NamedDatabase } from '../core/doctor/backupsFolder.ts';
import type { DoctorSubject } from '../core/doctor/doctor.ts';
import type { OffsiteSubject } from '../core/doctor/offsite.ts';
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
  /** Places for copies off the machine. */
  places?: readonly OffsiteSubject[];
}

interface DoctorOptions {
  signal?: AbortSignal | undefined;
  /** For each subject. */
  patienceMs?: number;
}

export async function runDoctor(
  worker: Pick<WorkerClient, 'call'>,
  { toolVersion, databases, folders, places = [] }: DoctorRequest,
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
  for (const [title, subject] of wanted) {
    const look = (): Promise<Check[]> =>
      worker.call('examine', subject, { signal, deadlineMs: patienceMs });
    sections.push({ title, checks: await answersOf(look, patienceMs) });
  }
  for (const place of places) {
    const deadlineMs = place.reach ? reachingMs : patienceMs;
    const look = (): Promise<Check[]> =>
      worker.call('offsiteExamine', place, { signal, deadlineMs });
    const title = `Off-machine copies, ${place.destination.name}`;
    sections.push({ title, checks: await answersOf(look, deadlineMs) });
  }
  return sections;
}

/** An engine tries a place that does not answer for half a minute. */
const reachingMs = 60_000;

async function answersOf(look: () => Promise<Check[]>, patienceMs: number): Promise<Check[]> {
  try {
    return await look();
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
