/** A restore as steps that a person can follow, also by hand. Pure: a plan goes in, text comes out. */
import { parseSetAsideName, setAsideNames } from '../manifest/names.ts';
import { verdictWords } from '../manifest/verdictWords.ts';
import type { PlannedItem, RestorePlan, TableChange } from '../restore/plan.ts';
import { formatBytes } from '../units.ts';
import {
  type HandNames,
  powerShellCommands,
  type ShellCommands,
  shellCommands,
} from './handCommands.ts';

/** In their order. */
export const stepIds = ['plan', 'stop', 'move', 'copy', 'restart', 'verify', 'clean-up'] as const;
export type StepId = (typeof stepIds)[number];

export interface Commands {
  sh: string[];
  powershell: string[];
}

export interface RunbookStep extends Commands {
  id: StepId;
  title: string;
  /** What the step does and why, in sentences without markup. */
  text: string;
  /** For whoever wants it; never part of the way through. */
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
  const commands = (pick: keyof ShellCommands): Commands => ({
    sh: all.flatMap((names) => shellCommands[pick](names)),
    powershell: all.flatMap((names) => powerShellCommands[pick](names)),
  });
  const nothing: Commands = { sh: [], powershell: [] };
  const step = (
    id: StepId,
    text: string,
    run: Commands = nothing,
    options: RunbookStep['options'] = [],
  ): RunbookStep => ({ id, title: titles[id], text, ...run, options });
  return [
    step('plan', planText(plan), commands('check')),
    step(
      'stop',
      'Stop every program that has the database open. One that stays would go on writing into the old file without an error. By hand, this needs lsof; only root sees the programs of other users.',
      commands('stop'),
    ),
    step(
      'move',
      onOneLine(
        `The old database, with its siblings, is kept as ${all.map(({ setAside }) => setAside).join(', ')}. Until the next step it also stays live.`,
      ),
      commands('move'),
    ),
    step(
      'copy',
      'The backup is copied beside the database, checked there, and takes its name. The old siblings go first, or they would change the restored database; they are kept with the old one.',
      commands('copy'),
    ),
    step('restart', 'Start what was stopped.'),
    step(
      'verify',
      onOneLine(`Look whether what is live now is what was backed up.${verifyText(plan)}`),
      commands('verify'),
    ),
    step(
      'clean-up',
      'Keep the old database until you are sure. As long as it is there, the restore can be undone.',
      nothing,
      [
        { title: 'Undo: put the old database back, with the program stopped', ...commands('undo') },
        { title: 'Delete the old database', ...commands('remove') },
      ],
    ),
  ];
}

const titles: Readonly<Record<StepId, string>> = {
  plan: 'Plan',
  stop: 'Stop',
  move: 'Move',
  copy: 'Copy',
  restart: 'Restart',
  verify: 'Verify',
  'clean-up': 'Clean Up',
};

function namesFor(
  plan: RestorePlan,
  item: PlannedItem,
  { now, setAsides = [] }: RunbookOptions,
): HandNames {
  const { member, realTarget, targetExists, source, permissions } = item;
  const [free = `${realTarget}.bad`] = setAsideNames(realTarget, now);
  const setAside = setAsides.find((path) => parseSetAsideName(path)?.target === realTarget) ?? free;
  return {
    backup: plan.backup,
    ...(member !== undefined && { member }),
    ...(source.sha256 !== undefined && { sha256: source.sha256 }),
    live: realTarget,
    liveExists: targetExists,
    setAside,
    staged: free.replace(/\.bad-([^.]*)$/, '.restoring-$1'),
    isWal: source.journalMode === 'wal',
    ...(permissions !== undefined && { permissions }),
    tables: (source.tables ?? []).map(({ name }) => name).filter((name) => !name.includes('\0')),
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
  ];
}

const stateWords = {
  missing: 'a new file.',
  readable: 'the live database is replaced.',
  empty: 'the live file is replaced.',
  damaged: 'the live database is damaged.',
  'not-a-database': 'the live file is replaced.',
  unreadable: 'the live database cannot be read, so what would be lost is not known.',
} as const;

function differs({ lost, gained, changed, compared }: TableChange): boolean {
  return !compared || lost + gained + changed > 0;
}

function tableText({ name, lost, gained, changed, compared }: TableChange): string {
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
  const parts = steps.map((step, index) => {
    const done = log.filter((entry) => entry.step === step.id);
    return [
      `## ${index + 1}. ${step.title}`,
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
    'Run the commands of one shell in their order, as the user that the application runs as. Each fails when what it expects does not hold: stop there. They need sqlite3.';
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
function fenced(language: string, text: string): string {
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
  const parts = runbookSteps(plan, options).map(({ title, sh }, index) =>
    [`# ${index + 1}. ${title}`, ...sh].join('\n'),
  );
  return `${[stopAtFirstFailure.join('\n'), ...parts].join('\n\n')}\n`;
}

export function renderPowerShell(plan: RestorePlan, options: RunbookOptions): string {
  const parts = runbookSteps(plan, options).map(({ title, powershell }, index) =>
    [`# ${index + 1}. ${title}`, ...powershell].join('\n'),
  );
  const head = [
    "$ErrorActionPreference = 'Stop'",
    '$OutputEncoding = New-Object System.Text.UTF8Encoding $false',
  ].join('\n');
  return `${[head, ...parts].join('\n\n')}\n`;
}
