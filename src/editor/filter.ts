import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { setContext } from './contexts.ts';
import { contextKeys } from './ids.ts';
import { inertLine } from './inert.ts';
import { verdictWord } from './messages.ts';

/** What both views leave out: rows that do not hold every word of the text. Forgotten with the window. */
export class Filter implements vscode.Disposable {
  readonly #changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.#changed.event;
  #text = '';

  get text(): string {
    return this.#text;
  }

  set(text: string): void {
    this.#text = text.trim();
    setContext(contextKeys.filtered, this.#text !== '');
    this.#changed.fire();
  }

  /** True when every word is in one of the facts, in whatever case. */
  matches(facts: readonly (string | undefined)[]): boolean {
    if (this.#text === '') return true;
    const all = facts.join('\n').toLowerCase();
    return this.#text
      .toLowerCase()
      .split(/\s+/)
      .every((word) => all.includes(word));
  }

  /** A backup is found by its name, its database, its note, its verdict, and by being pinned. */
  matchesBackup({ path, database, verified, kept, bundle }: CatalogEntry): boolean {
    if (this.#text === '') return true;
    return this.matches([
      basename(path),
      database,
      kept?.note,
      verdictWord(verified),
      kept?.pinned === true ? vscode.l10n.t('pinned') : undefined,
      ...(bundle === undefined ? [] : [vscode.l10n.t('bundle'), bundle.name]),
      bundle?.complete === false ? vscode.l10n.t('incomplete') : undefined,
      ...(bundle?.databases ?? []).map(({ name }) => name),
    ]);
  }

  /**
   * Says in a view that rows are left out: above them, or beside the title when none is left, because a message would
   * hide the view's welcome with its way out.
   */
  tell(view: vscode.TreeView<unknown>, shown: number, all: number): void {
    const text =
      this.#text === '' || all === 0
        ? ''
        : vscode.l10n.t('Filter "{0}": {1} of {2}', inertLine(this.#text), shown, all);
    view.message = shown > 0 ? text : '';
    view.description = shown > 0 ? '' : text;
  }

  dispose(): void {
    this.#changed.dispose();
  }
}
