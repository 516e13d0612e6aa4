/** What is known of a backup before its content is read, in words for the page that shows it. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import type { BundleManifest, Manifest, Trigger } from '../core/manifest/manifest.ts';
import { formatBytes } from '../core/units.ts';
import type { LookSubject } from '../runbook/look/state.ts';
import type { Line } from '../runbook/protocol.ts';
import type { Backups } from './backups.ts';
import { livePathOf } from './livePath.ts';
import { lossText } from './lossMessages.ts';
import { databaseName, verdictWord } from './messages.ts';
import { exactTime } from './times.ts';
import { backupTitle } from './whichDatabase.ts';

const mostFindings = 20;

export function lookSubject(
  backups: Backups,
  entry: CatalogEntry,
  member: string | undefined,
  manifest: Manifest | BundleManifest | undefined,
): LookSubject {
  const { t } = vscode.l10n;
  const isThere = backups.entries.some(({ path }) => path === entry.path);
  const live = livePathOf(backups, entry, member);
  return {
    title: backupTitle(backups.names, entry, member),
    subtitle: t('This page only reads. Neither the backup nor the live database is changed.'),
    notices: isThere
      ? []
      : [
          {
            id: 'deleted',
            kind: 'warning',
            title: t('This backup is not in the backups folder any longer.'),
            actions: [],
          },
        ],
    verdict: verdictLines(entry, member, manifest),
    facts: factsOf(entry, member, manifest, live),
    unavailable:
      live === undefined
        ? { compare: t('The live database of this backup is not in this workspace.') }
        : {},
  };
}

function verdictLines(
  entry: CatalogEntry,
  member: string | undefined,
  manifest: Manifest | BundleManifest | undefined,
): Line[] {
  const { t } = vscode.l10n;
  const { verified, outOfStep, kept, unreadable } = entry;
  if (unreadable !== undefined) return [{ kind: 'warning', text: unreadable }];
  const { verdict, drill } = manifest ?? {};
  const own =
    member === undefined || manifest?.kind !== 'bundle'
      ? undefined
      : manifest.entries.find((one) => one.kind === 'database' && one.name === member);
  const ofMember = own?.kind === 'database' ? own.verdict : undefined;
  const status = verified === 'damaged' ? verified : (ofMember?.status ?? verified);
  const findings = ofMember?.findings ?? verdict?.findings ?? [];
  const kind = status === 'damaged' ? 'error' : status === 'ok' ? 'proof' : 'warning';
  const word = capital(verdictWord(status, outOfStep, findings));
  const checkedAt = verdict?.checkedAt ?? kept?.checkedAt;
  return [
    { kind, text: word, ...(checkedAt !== undefined && { at: exactTime(checkedAt) }) },
    ...(drill === undefined
      ? []
      : [
          {
            kind: drill.status === 'ok' ? ('proof' as const) : ('warning' as const),
            text:
              drill.status === 'ok'
                ? t('A test restore passed')
                : t('The last test restore did not pass: {0}', drill.status),
            at: exactTime(drill.at),
          },
        ]),
    ...findings.slice(0, mostFindings).map(({ message }): Line => ({
      kind: kind === 'error' ? 'error' : 'warning',
      text: message,
    })),
    ...(kept?.losses ?? [])
      .slice(0, mostFindings)
      .map((loss): Line => ({ kind: 'warning', text: lossText(loss) })),
  ];
}

function factsOf(
  { path, createdAt, sizeBytes, bundle, foreign, setAside }: CatalogEntry,
  member: string | undefined,
  manifest: Manifest | BundleManifest | undefined,
  live: string | undefined,
): LookSubject['facts'] {
  const { t } = vscode.l10n;
  const ofMember =
    manifest?.kind === 'bundle'
      ? manifest.entries.find((one) => one.name === member && one.kind === 'database')
      : manifest;
  const contents = ofMember !== undefined && 'facts' in ofMember ? ofMember : undefined;
  const source = contents?.source ?? undefined;
  const inBundle = bundle?.databases.find(({ name }) => name === member);
  const size = inBundle?.sizeBytes ?? sizeBytes;
  const engine = [
    manifest && t('SQLite {0}', manifest.tool.sqlite),
    manifest && t('Method: {0}', manifest.method),
    contents &&
      (contents.facts.journalMode === 'wal'
        ? t('WAL mode')
        : t('journal mode {0}', contents.facts.journalMode)),
  ].filter((part) => part !== undefined && part !== '');
  const git = manifest?.kind === 'snapshot' ? manifest.git : undefined;
  const commit = [git?.branch, git?.commit?.slice(0, 7)].filter((part) => part !== undefined);
  const sha256 = ofMember?.sha256;
  const facts: [string, string | undefined][] = [
    [t('Database'), live === undefined ? source?.path : databaseName(vscode.Uri.file(live))],
    [t('Backed up'), exactTime(createdAt)],
    [t('Size'), formatBytes(size)],
    [t('Engine'), engine.length === 0 ? undefined : engine.join(' · ')],
    [t('Made by'), manifest === undefined ? undefined : madeBy(manifest.trigger)],
    [
      t('Origin'),
      setAside === true
        ? t('previous database, kept by a restore')
        : foreign
          ? t('not made by SQLite Backup')
          : undefined,
    ],
    [
      t('Migrations'),
      contents?.migrations?.map(({ tool, latest }) => `${tool}: ${latest}`).join(', '),
    ],
    [t('Git'), commit.length === 0 ? undefined : commit.join(' ')],
    [t('Note'), manifest?.note],
    [t('Same moment'), sameMoment(manifest)],
    [t('Bundle'), bundle === undefined ? undefined : (bundle.name ?? basename(path))],
    [t('File'), path],
    [t('SHA-256'), sha256],
  ];
  return facts.flatMap(([label, text]) =>
    text === undefined || text === '' ? [] : [{ label, text }],
  );
}

function sameMoment(manifest: Manifest | BundleManifest | undefined): string | undefined {
  const cut = manifest?.cut;
  if (cut?.label !== 'one-instant' || cut.members < 2) return undefined;
  return cut.members === 2
    ? vscode.l10n.t('with 1 other database')
    : vscode.l10n.t('with {0} other databases', cut.members - 1);
}

/** Why a backup was taken. */
function madeBy(trigger: Trigger): string {
  const { t } = vscode.l10n;
  switch (trigger) {
    case 'manual':
      return t('a person, in the editor');
    case 'schedule':
      return t('the schedule');
    case 'task':
      return t('a task');
    case 'agent':
      return t('an agent');
    case 'cli':
      return t('the command line');
    case 'pre-restore':
      return t('a restore, before it replaced the database');
  }
}

function capital(text: string): string {
  return text.charAt(0).toLocaleUpperCase(vscode.env.language) + text.slice(1);
}
