/** Opens the restore page of the state before a turn of an agent. The page only plans until the person goes on. */
import * as vscode from 'vscode';
import type { Turn } from '../../core/checkpoint/turns.ts';
import { inertLine, notify } from '../inert.ts';
import { databaseName } from '../messages.ts';
import { turnText } from '../protection/checkpointRows.ts';
import { isRow } from '../rows.ts';
import { dayAndTime } from '../times.ts';
import type { Parts } from './parts.ts';
import { restore } from './restore.ts';

interface TurnOf {
  uri: vscode.Uri;
  turn: Turn;
}

/** Of the row; of a database, or of all, it asks which. */
export async function undoTurn(parts: Parts, target: unknown): Promise<{ runbook?: string }> {
  const { t } = vscode.l10n;
  const { backups, checkpoints } = parts;
  if (!backups.isReady) await backups.refresh();
  await checkpoints.refresh();
  const chosen = await turnOfRow(parts, target);
  if (chosen === undefined) return {};
  const { uri, turn } = chosen;
  const entry = checkpoints.of(uri).find(({ path }) => path === turn.before);
  if (entry === undefined) {
    void notify.info(t('The state before this turn is not kept any more.'));
    return {};
  }
  return restore(parts, { kind: 'snapshot', uri, entry });
}

async function turnOfRow(
  { backups, checkpoints }: Parts,
  target: unknown,
): Promise<TurnOf | undefined> {
  const { t } = vscode.l10n;
  const uri =
    target instanceof vscode.Uri
      ? target
      : isRow(target) && (target.kind === 'checkpoints' || target.kind === 'database')
        ? target.uri
        : undefined;
  const uris = uri === undefined ? backups.databases.map((one) => one.uri) : [uri];
  const turns = uris
    .flatMap((one) => checkpoints.turnsOf(one).map((turn): TurnOf => ({ uri: one, turn })))
    .sort((a, b) => b.turn.at.localeCompare(a.turn.at));
  if (isRow(target) && target.kind === 'checkpoints' && target.turn !== undefined)
    return turns.find(({ turn }) => turn.session === target.session && turn.turn === target.turn);
  if (turns.length === 0) {
    void notify.info(t('No agent has changed a database in a turn that is kept.'));
    return undefined;
  }
  const now = Date.now();
  const descriptionOf = ({ uri: of, turn }: TurnOf): string => {
    const changes = checkpoints.changesIn(turn);
    return [databaseName(of), ...(changes === undefined ? [] : [turnText(changes)])].join(' · ');
  };
  const items = (): (vscode.QuickPickItem & { one: TurnOf })[] =>
    turns.map((one) => ({
      label: inertLine(t('Turn {0}, {1}', one.turn.turn, dayAndTime(one.turn.at, now))),
      description: inertLine(descriptionOf(one)),
      one,
    }));
  const placeholder = t('Which turn should be undone? What came after it goes, too.');
  return (await pick(items, { placeholder, onDidChange: checkpoints.onDidChange }))?.one;
}

/** What the turns have changed is counted while the list is open already: it is shown when it is known. */
function pick<T extends vscode.QuickPickItem>(
  items: () => T[],
  { placeholder, onDidChange }: { placeholder: string; onDidChange: vscode.Event<unknown> },
): Promise<T | undefined> {
  const list = vscode.window.createQuickPick<T>();
  list.placeholder = placeholder;
  list.matchOnDescription = true;
  list.items = items();
  return new Promise((resolve) => {
    const owned = vscode.Disposable.from(
      list,
      onDidChange(() => {
        const at = list.items.findIndex((one) => one === list.activeItems[0]);
        list.items = items();
        const active = list.items[at];
        if (active !== undefined) list.activeItems = [active];
      }),
      list.onDidAccept(() => {
        resolve(list.selectedItems[0]);
        list.hide();
      }),
      list.onDidHide(() => {
        resolve(undefined);
        owned.dispose();
      }),
    );
    list.show();
  });
}
