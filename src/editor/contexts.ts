import * as vscode from 'vscode';
import type { contextKeys } from './ids.ts';

/** Tells the `when` clauses of the manifest. */
export function setContext(
  key: (typeof contextKeys)[keyof typeof contextKeys],
  value: string | boolean | readonly string[],
): void {
  void vscode.commands.executeCommand('setContext', key, value);
}
