/*
 * Names of files, tables and programs come from anywhere, and VS Code reads `[text](command:…)` in notifications as a
 * link and `$(name)` in labels as an icon. Everything that is shown goes through here.
 */
import * as vscode from 'vscode';

const zeroWidthSpace = '\u200b';

/** The text as it reads, with nothing in it that acts: no links, no icons, no control or direction characters. */
export function inert(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (one) => (one === '\n' ? '\n' : '\ufffd'))
    .replace(/\]\(/g, `]${zeroWidthSpace}(`)
    .replace(/\$\(/g, `$${zeroWidthSpace}(`);
}

/** Longer than any path. What claims to be a name or a note may have megabytes. */
const longestLine = 5000;

/** The same in one line, of bounded length: a name with a line break in it must not look like two names. */
export function inertLine(text: string): string {
  const shown = text.length > longestLine ? `${text.slice(0, longestLine)}…` : text;
  return inert(shown).replaceAll('\n', '↵');
}

/** The only way to show a notification. */
export const notify = {
  info: (message: string, ...actions: string[]): Thenable<string | undefined> =>
    vscode.window.showInformationMessage(inert(message), ...actions),
  warn: (message: string, ...actions: string[]): Thenable<string | undefined> =>
    vscode.window.showWarningMessage(inert(message), ...actions.map(inertLine)),
  error: (message: string, ...actions: string[]): Thenable<string | undefined> =>
    vscode.window.showErrorMessage(inert(message), ...actions.map(inertLine)),
  /**
   * Modal, with the safe answer first, which Enter gives: what is lost then stays lost. Each answer says what it does. True
   * for `yes`.
   */
  confirmFinal: async (
    message: string,
    detail: string,
    { yes, no }: { yes: string; no: string },
  ): Promise<boolean> => {
    const options = { modal: true, detail: inert(detail) };
    return (await vscode.window.showWarningMessage(inert(message), options, no, yes)) === yes;
  },
  /** Modal: for what needs an answer first. */
  confirm: (message: string, detail: string, ...actions: string[]): Thenable<string | undefined> =>
    vscode.window.showWarningMessage(
      inert(message),
      { modal: true, detail: inert(detail) },
      ...actions,
    ),
};
