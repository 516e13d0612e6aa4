/** A restore as steps that a person can follow, also by hand. Pure: a plan goes in, text comes out. */
import { parseSetAsideName, setAsideNames } from '../manifest/names.ts';
import { verdictWords } from '../manifest/verdictWords.ts';
import type { PlannedItem, RestorePlan, TableChange } from '../restore/plan.ts';
import { formatBytes } from '../units.ts';
import type { Blocks, HandNames } from './handCommands.ts';
import { posixBlocks } from './posixBlocks.ts';
import { powerShellBlocks } from './powerShellBlocks.ts';

/** In their order. */
export const stepIds = ['plan', 'stop', 'move', 'copy', 'restart', 'verify', 'clean-up'] as const;
export type StepId = (typeof stepIds)[number];

/** Complete commands, each to be pasted whole. */
export interface Commands {
  sh: string[];
  powershell: string[];
}

export interface RunbookStep extends Commands {
  id: StepId;
  /** The same number everywhere: on the page, in the export, in every text that names a step. */
  number: number;
  title: string;
  /** What the step does and why, in sentences without markup. */
  text: string;
  /** Optional, and no part of the way through. */
  options: ({ title: string } & Commands)[];
}

/** What has been done so far, for an exported runbook. */
export interface LogEntry {
  step: StepId;
  /** ISO 8601. */
  at: string;
  text: string;
}

export interface RunbookOptions {
  /** When the runbook is made: the names that it gives carry this time. */
  now: Date;
  /** Where old databases were set aside already, which the commands that come after that are about. */
  setAsides?: readonly string[];
}

/** The steps in their order, with the commands that do the same by hand. */
export function runbookSteps(plan: RestorePlan, options: RunbookOptions): RunbookStep[] {
  const all = plan.items.map((item) => namesFor(plan, item, options));
  const commands = (pick: keyof Blocks): Commands => ({
    sh: [posixBlocks[pick](all)],
    powershell: [powerShellBlocks[pick](all)],
  });
  const nothing: Commands = { sh: [], powershell: [] };
  const step = (
    id: StepId,
    text: string,
    run: Commands = nothing,
    options: RunbookStep['options'] = [],
  ): RunbookStep => ({
    id,
    number: stepIds.indexOf(id),
    title: stepTitles[id],
    text,
    ...run,
    options,
  });
  return [
    step('plan', planText(plan), commands('check')),
    step(
      'stop',
      'Stop every program that has the database open. A program that keeps it open goes on writing into the previous file without an error. Only root sees the programs of other users. If the folder is shared, stop the programs on every machine.',
      commands('stop'),
    ),
    step(
      'move',
      onOneLine(
        `The current database is kept as ${all.map(({ setAside }) => setAside).join(', ')} with the files that SQLite has beside it. The application still sees it until step 3.`,
      ),
      commands('move'),
    ),
    step(
      'copy',
      'The backup is copied beside the database, checked there, and takes its name. The -wal, -shm and -journal files of the previous database go just before that, because they would change the restored one.',
      commands('copy'),
    ),
    step('restart', 'Start the programs that you stopped.'),
    step(
      'verify',
      onOneLine(`Check that the live database matches the backup.${verifyText(plan)}`),
      commands('verify'),
    ),
    step(
      'clean-up',
      'Keep the previous database until you are sure. Until you delete it, the restore can be undone.',
      nothing,
      [
        { title: 'Undo: put the previous database back', ...commands('undo') },
        { title: 'Delete the previous database', ...commands('remove') },
      ],
    ),
  ];
}

/** Of a restore over the live database, as the page calls them too. */
export const stepTitles: Readonly<Record<StepId, string>> = {
  plan: 'Plan',
  stop: 'Stop everything that uses the database',
  move: 'Keep the current database',
  copy: 'Copy the backup into place',
  restart: 'Restart',
  verify: 'Verify',
  'clean-up': 'Clean up',
};

function namesFor(
  plan: RestorePlan,
  item: PlannedItem,
  { now, setAsides = [] }: RunbookOptions,
): HandNames {
  const { member, realTarget, targetExists, targetState, source, permissions } = item;
  const [free = `${realTarget}.bad`] = setAsideNames(realTarget, now);
  const setAside = setAsides.find((path) => parseSetAsideName(path)?.target === realTarget) ?? free;
  return {
    backup: plan.backup,
    ...(member !== undefined && { member }),
    ...(source.sha256 !== undefined && { sha256: source.sha256 }),
    verdict: plan.verified,
    live: realTarget,
    liveExists: targetExists,
    isReadable: targetState === 'readable',
    setAside,
    isWal: source.journalMode === 'wal',
    ...(permissions !== undefined && { permissions }),
    tables: (source.tables ?? []).filter(({ name }) => !name.includes('\0')),
  };
}

function planText(plan: RestorePlan): string {
  const { backup, createdAt, sizeBytes, verified, outOfStep, findings, items } = plan;
  const words = verdictWords({ status: verified, findings, ...(outOfStep && { outOfStep }) });
  const about = `${backup}, made ${createdAt}, ${formatBytes(sizeBytes)}, ${words}.`;
  return [about, ...items.flatMap(itemLines)].map(onOneLine).join('\n');
}

function itemLines(item: PlannedItem): string[] {
  const { member, realTarget, targetState, targetReason, tables, migrations, holders } = item;
  const what = member === undefined ? '' : `${member} → `;
  return [
    `${what}${realTarget}: ${stateWords[targetState]}${targetReason === undefined ? '' : ` ${targetReason}`}`,
    ...tables.filter(differs).map(tableText),
    ...(targetState === 'readable' && !tables.some(differs) ? ['No row would change.'] : []),
    ...(targetState === 'readable' && !item.schema.same ? ['The schemas differ.'] : []),
    migrations.words,
    ...holders.map(({ name, pid }) => `Open in ${name} (pid ${pid}).`),
    ...unseenWords(item.holdersKnown),
  ];
}

/** What an empty list of programs does not prove. */
export function unseenWords(known: PlannedItem['holdersKnown']): string[] {
  switch (known) {
    case 'own-user':
      return [
        'Programs of other users, in other containers or on other machines cannot be seen from here.',
      ];
    case 'unknown':
      return ['This system does not show which programs have a file open.'];
    case 'all':
      return [];
  }
}

const stateWords = {
  missing: 'a new file.',
  readable: 'the live database is replaced.',
  empty: 'the live file is replaced.',
  damaged: 'the live database is damaged.',
  'not-a-database': 'the live file is replaced.',
  unreadable: 'the live database cannot be read, so what would be lost is not known.',
} as const;

function differs({ lost, gained, changed, compared, only }: TableChange): boolean {
  return !compared || only !== undefined || lost + gained + changed > 0;
}

function tableText({ name, lost, gained, changed, compared, only }: TableChange): string {
  if (compared && only === 'live') return `${name}: only in the live database, ${rows(lost)} lost`;
  if (compared && only === 'backup')
    return `${name}: only in the backup, ${rows(gained)} brought back`;
  return compared
    ? `${name}: ${rows(lost)} lost, ${rows(gained)} brought back, ${rows(changed)} changed`
    : `${name}: not compared`;
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`;
}

function verifyText({ items }: RestorePlan): string {
  const counts = items.flatMap(({ source }) => source.tables ?? []);
  if (counts.length === 0) return '';
  return ` When it was backed up: ${counts
    .map(
      ({ name, rows: recorded }) =>
        `${name} ${recorded === undefined ? 'not counted' : rows(recorded)}`,
    )
    .join(', ')}.`;
}

/** The runbook for a machine without VS Code. The way through is in blocks marked `sh`; what is optional in `shell`. */
export function renderMarkdown(
  plan: RestorePlan,
  options: RunbookOptions,
  log: readonly LogEntry[] = [],
): string {
  const steps = runbookSteps(plan, options);
  const parts = steps.map((step) => {
    const done = log.filter((entry) => entry.step === step.id);
    return [
      `## ${step.number}. ${step.title}`,
      ...step.text.split('\n').map(plain),
      ...done.map(({ at, text }) => `- [x] ${at}: ${plain(text)}`),
      ...blocks(step, 'sh', 'powershell'),
      ...step.options.flatMap((option) => [
        `### ${option.title}`,
        ...blocks(option, 'shell', 'powershell'),
      ]),
    ].join('\n\n');
  });
  const title = `# Restore ${plan.items.map(({ realTarget }) => plain(realTarget)).join(', ')}`;
  const intro =
    'Paste the blocks for your shell in their order, each one whole, as the user that the application runs as. Each block looks at the disk before it changes anything, and ends with GOOD or with what is wrong: go on only after GOOD. The POSIX blocks run in bash, dash, ksh, zsh and fish (in csh or tcsh, start sh first); the PowerShell blocks are for Windows. They need sqlite3.';
  return `${[title, intro, ...parts].join('\n\n')}\n`;
}

function blocks({ sh, powershell }: Commands, shName: string, powershellName: string): string[] {
  if (sh.length === 0) return [];
  return [
    'POSIX:',
    fenced(shName, sh.join('\n')),
    'PowerShell:',
    fenced(powershellName, powershell.join('\n')),
  ];
}

/** Control characters could end a line, or hide what a name says. */
function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\ufffd');
}

/** A fence longer than any in the text, so that no name can end the block. */
export function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}

/** Names are shown as they are and never act as markup. */
function plain(text: string): string {
  return onOneLine(text).replace(/[\\`*_{}[\]<>#|~&]/g, '\\$&');
}

const stopAtFirstFailure = ['#!/bin/sh', 'set -eu'];

export function renderShell(plan: RestorePlan, options: RunbookOptions): string {
  const parts = runbookSteps(plan, options).map(({ number, title, sh }) =>
    [`# ${number}. ${title}`, ...sh].join('\n'),
  );
  return `${[stopAtFirstFailure.join('\n'), ...parts].join('\n\n')}\n`;
}

export function renderPowerShell(plan: RestorePlan, options: RunbookOptions): string {
  const parts = runbookSteps(plan, options).map(({ number, title, powershell }) =>
    [`# ${number}. ${title}`, ...powershell].join('\n'),
  );
  return `${["$ErrorActionPreference = 'Stop'", ...parts].join('\n\n')}\n`;
}
