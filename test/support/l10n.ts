// npm run l10n: writes l10n/bundle.l10n.json, all that the editor shows in English, from the source.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getL10nJson } from '@vscode/l10n-dev';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '../..');
export const bundlePath = join(root, 'l10n/bundle.l10n.json');
export const languages = ['de', 'zh-cn'];

export type Texts = Record<string, string>;

/** Shell scripts and SQL are no sentences; the exported runbook is English. */
const noSentences =
  /core\/(runbook\/(?!runbook)|offsite\/byHand|states\/hookLines|compare\/(rowDigest|rows|identity|pair))|restartManager/;
const looksLikeSql =
  /\b(SELECT|PRAGMA|CREATE|INSERT|ATTACH|VACUUM|WHERE|JOIN|INDEXED|DROP|CAST|UNION|EXPLAIN)\b|^[a-z_]+ = |^BEGIN|^SQLite format|INTEGER PRIMARY|typeof\(|octet_length|^type IN|^user_version|^no such tokenizer|^Application Support|^set -|^\$/;

/** The English of the bundle, sorted. */
export async function englishOf(): Promise<string[]> {
  // As one file with one import: the scanner compiles its query for each import, which takes 0.2 s.
  const faces = globSync('src/{editor,runbook}/**/*.ts', { cwd: root }).map((file) =>
    read(file)
      .replace(/^import [^;]*'vscode';$/gm, '')
      // Both `t` of `vscode.l10n` and `t` of the runbook's host are functions by another name.
      .replace(
        /(?<![\w$#])(?:vscode\.l10n\.|host\.|this\.#host\.|words\.|restore\.host\.)?t\(/g,
        'vscode.l10n.t(',
      ),
  );
  const contents = ["import * as vscode from 'vscode';", ...faces].join('\n');
  const called = Object.keys(await getL10nJson([{ extension: '.ts', contents }]));
  const said = globSync('src/core/**/*.ts', { cwd: root })
    .filter((file) => !noSentences.test(file))
    .flatMap((file) => sentencesIn(file));
  return [...new Set([...called, ...said])].sort();
}

/** All strings and templates that are words for a person: two words at least. */
function sentencesIn(file: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const text = textOf(node);
    if (text !== undefined && isSentence(text)) found.push(text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true));
  return found;
}

function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  const spans = node.templateSpans.map(({ literal }, index) => `{${index}}${literal.text}`);
  return node.head.text + spans.join('');
}

function isSentence(text: string): boolean {
  if (!text.trim().includes(' ') || looksLikeSql.test(text)) return false;
  const words = text.replaceAll(/\{\d+\}/g, '').match(/\p{L}+/gu) ?? [];
  return words.length >= 2;
}

function read(file: string): string {
  return readFileSync(resolve(root, file), 'utf8');
}

export function readTexts(path: string): Texts {
  return JSON.parse(read(path)) as Texts;
}

/** What is wrong with a translation, one line for each text. */
export function problemsOf(english: Texts, translated: Texts): string[] {
  const missing = Object.keys(english).filter((key) => translated[key] === undefined);
  const stale = Object.keys(translated).filter((key) => english[key] === undefined);
  const differing = Object.entries(translated).filter(
    ([key, text]) => english[key] !== undefined && fixedParts(english[key]) !== fixedParts(text),
  );
  return [
    ...missing.map((key) => `missing: ${key}`),
    ...stale.map((key) => `stale: ${key}`),
    ...differing.map(([key, text]) => `other placeholders: ${key} -> ${text}`),
  ];
}

/** What a translation must have as the original has it: placeholders, settings, icons, links and code. */
function fixedParts(text: string): string {
  const parts =
    text.match(/\{\d+\}|#sqliteBackup[.\w]+#|\$\([a-z-]+\)|command:[\w.]+|`[^`]*`/g) ?? [];
  return [...new Set(parts)].sort().join(' ');
}

if (import.meta.main) {
  const english = await englishOf();
  const bundle = Object.fromEntries(english.map((text) => [text, text]));
  writeFileSync(bundlePath, `${JSON.stringify(bundle, null, 2)}\n`);
  console.log(`l10n/bundle.l10n.json: ${english.length} sentences`);
  for (const language of languages) {
    const path = `l10n/bundle.l10n.${language}.json`;
    const known = readTexts(path);
    // In the order of the English ones; what is not said any more goes.
    const kept = english.flatMap((text) =>
      known[text] === undefined ? [] : [[text, known[text]]],
    );
    writeFileSync(join(root, path), `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
    tell(path, problemsOf(bundle, readTexts(path)));
    const ofManifest = `package.nls.${language}.json`;
    tell(ofManifest, problemsOf(readTexts('package.nls.json'), readTexts(ofManifest)));
  }
}

function tell(path: string, problems: string[]): void {
  console.log([path, ...problems].join('\n  '));
  if (problems.length > 0) process.exitCode = 1;
}
