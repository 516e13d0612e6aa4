/** Numbers as a person reads them, in the editor's language: `12,000`, or `12.000` in German. */
import * as vscode from 'vscode';

let format: Intl.NumberFormat | undefined;

/** What stands in a sentence: a number as above, a text as it is. */
export function valueText(value: number | string): string {
  return typeof value === 'number' ? numberText(value) : value;
}

export function numberText(value: number): string {
  return (format ??= new Intl.NumberFormat(vscode.env.language)).format(value);
}
