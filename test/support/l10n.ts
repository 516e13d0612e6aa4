// npm run l10n: writes l10n/bundle.l10n.json, all that the editor shows in English, from the source.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getL10nJson } from '@vscode/l10n-dev';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '../..');
export const bundlePath = join(root, 'l10n/bundle.l10n.json');

/** Shell scripts and SQL are no sentences; the exported runbook is English. */
const noSentences =
  /core\/(runbook\/(?!runbook)|compare\/(rowDigest|rows|identity|pair))|restartManager/;
const looksLikeSql =
  /\b(SELECT|PRAGMA|CREATE|INSERT|ATTACH|VACUUM|WHERE|JOIN|INDEXED|DROP|CAST|UNION|EXPLAIN)\b|^[a-z_]+ = |^BEGIN|^SQLite format/;

/** The English of the bundle, sorted. */
export async function englishOf(): Promise<string[]> {
  const faces = globSync('src/{editor,runbook}/**/*.ts', { cwd: root }).map((file) => ({
    extension: '.ts',
    // Both `t` of `vscode.l10n` and `t` of the runbook's host are functions by another name.
    contents: `import * as vscode from 'vscode';\n${read(file).replace(
      /(?<![\w$#])(?:vscode\.l10n\.|host\.|this\.#host\.|words\.|restore\.host\.)?t\(/g,
      'vscode.l10n.t(',
    )}`,
  }));
  const called = Object.keys(await getL10nJson(faces));
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
  const words = text.replaceAll(/\{\d+\}/g, '').match(/\p{L}{2,}/gu) ?? [];
  return words.length >= 2;
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

if (import.meta.main) {
  const english = await englishOf();
  const bundle = Object.fromEntries(english.map((text) => [text, text]));
  writeFileSync(bundlePath, `${JSON.stringify(bundle, null, 2)}\n`);
  console.log(`${bundlePath}: ${english.length} sentences`);
}
