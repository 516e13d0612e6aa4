/** Letting a backup go that stays only because rows were lost after it. */
import { dirname } from 'node:path';
import { BackupError } from '../errors.ts';
import { inLineage } from '../manifest/lineage.ts';
import { openLosses, tableKey } from '../manifest/loss.ts';
import type { Released } from '../manifest/manifest.ts';
import { updateManifest } from '../manifest/manifestFile.ts';
import { type CatalogEntry, listBackups } from './catalog.ts';
import { databasesIn, requireOwn } from './keeping.ts';

export interface ReleaseRequest {
  /** The backup that stays, or one that tells of the loss. */
  backup: string;
  /** Only these of the tables. */
  tables?: string[];
  /** Takes the release back. */
  undo?: boolean;
}

/**
 * Releases tables and returns them. They are remembered: from now on their losses are neither told nor a reason to keep a
 * backup, because the table of a queue or a cache would be one for ever.
 */
export function release({ backup, tables, undo = false }: ReleaseRequest): Released[] {
  const { path, manifest } = requireOwn(backup);
  const all = listBackups(dirname(path));
  const entry = all.find((one) => one.path === path);
  const databases = entry === undefined ? [] : databasesIn(entry);
  const related = all.filter((one) => databasesIn(one).some((id) => databases.includes(id)));
  const told = undo
    ? related.flatMap(({ kept }) => kept?.released ?? [])
    : openLosses(
        related.flatMap(({ kept, path: own }) =>
          (kept?.losses ?? []).filter(({ since }) => own === path || since === manifest.createdAt),
        ),
        related.flatMap(({ kept }) => kept?.released ?? []),
      );
  const chosen = new Map<string, Released>();
  for (const { database, table } of told) {
    const isAsked = tables?.some(
      (one) => tableKey({ database, table: one }) === tableKey({ database, table }),
    );
    if (databases.includes(database) && isAsked !== false)
      chosen.set(tableKey({ database, table }), { database, table });
  }
  if (chosen.size === 0) throw nothingToRelease(path, { tables, undo });
  for (const one of undo ? related : remembering(entry, related)) {
    const before = one.kept?.released ?? [];
    const others = before.filter((released) => !chosen.has(tableKey(released)));
    const released = undo ? others : [...others, ...chosen.values()];
    if (undo && others.length === before.length) continue;
    updateManifest(one.path, { released: released.length === 0 ? undefined : released });
  }
  return [...chosen.values()];
}

/** The backup itself, and the newest of each of its databases, which hand it on to the next. */
function remembering(
  entry: CatalogEntry | undefined,
  related: readonly CatalogEntry[],
): Set<CatalogEntry> {
  const usable = inLineage(related.filter(({ verified }) => verified !== 'damaged'));
  const newest = (entry === undefined ? [] : databasesIn(entry)).map((id) =>
    usable.find((one) => databasesIn(one).includes(id)),
  );
  return new Set([entry, ...newest].filter((one) => one !== undefined));
}

function nothingToRelease(
  path: string,
  { tables, undo }: { tables: string[] | undefined; undo: boolean },
): BackupError {
  const which = tables === undefined ? '' : ` in ${tables.join(', ')}`;
  return new BackupError(
    'bad-name',
    undo
      ? `No table${which} of the databases in ${path} is released.`
      : `${path} reports no lost rows${which} that are not released yet.`,
    { path, hint: 'Name the backup that reports the loss, or the last one before it.' },
  );
}
