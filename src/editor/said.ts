/** The sentences of the core in the language of the editor. */
import * as vscode from 'vscode';
import { type Translate, translatorOf } from '../core/sentences.ts';

const { bundle } = vscode.l10n;

/** What the core says, in the editor's language; as it is where there is no translation. */
export const said: Translate = bundle === undefined ? (sentence) => sentence : translatorOf(bundle);
