/*
 * Names of files, tables and programs come from anywhere, and VS Code reads `[text](command:…)` in notifications as a
 * link and `$(name)` in labels as an icon. Everything that is shown goes through here.
 */
import * as vscode from 'vscode';
import { toasts } from './toasts.ts';

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

const { window } = vscode;

/** Each shows a text, with nothing in it that acts. */
const shows = {
  info: (message: string, actions: string[]) => (): Thenable<string | undefined> =>
    window.showInformationMessage(inert(message), ...actions.map(inertLine)),
  warn: (message: string, actions: string[]) => (): Thenable<string | undefined> =>
    window.showWarningMessage(inert(message), ...actions.map(inertLine)),
  error: (message: string, actions: string[]) => (): Thenable<string | undefined> =>
    window.showErrorMessage(inert(message), ...actions.map(inertLine)),
};

/** What comes by itself. One at a time: it waits while another notification is shown. */
export const notice = {
  info: (message: string, ...actions: string[]): Promise<string | undefined> =>
    toasts.notice(shows.info(message, actions)),
  warn: (message: string, ...actions: string[]): Promise<string | undefined> =>
    toasts.notice(shows.warn(message, actions)),
};

/** A loss of rows: takes the place of an outcome, and no outcome hides it. */
export function alarm(message: string, ...actions: string[]): Promise<string | undefined> {
  return toasts.alarm(shows.warn(message, actions));
}

/** What a person did, or has to know or to answer before something goes on. Takes the place of the one before. */
export const notify = {
  info: (message: string, ...actions: string[]): Promise<string | undefined> =>
    toasts.answer(shows.info(message, actions)),
  warn: (message: string, ...actions: string[]): Promise<string | undefined> =>
    toasts.answer(shows.warn(message, actions)),
  error: (message: string, ...actions: string[]): Promise<string | undefined> =>
    toasts.answer(shows.error(message, actions), actions.length > 0),
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
