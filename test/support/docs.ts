// npm run docs: writes what docs/ says of settings and of the command line, and the names and types of commands and
// settings for the code, from package.json and from the verbs.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { format } from 'oxfmt';
import style from '../../.oxfmtrc.json' with { type: 'json' };
import manifest from '../../package.json' with { type: 'json' };
import words from '../../package.nls.json' with { type: 'json' };
import { verbs } from '../../src/cli/verbs.ts';

const root = resolve(import.meta.dirname, '../..');
const prefix = 'sqliteBackup.';
const begin = '<!-- Made by `npm run docs`: -->';
const end = '<!-- Up to here. -->';

const contributed = 'src/editor/contributed.ts';

interface Setting {
  type: string;
  default: unknown;
  enum?: string[];
  items?: { type: string };
  order: number;
  description?: string;
  markdownDescription?: string;
}

const pages: Record<string, () => string> = {
  'docs/settings.md': settingsTable,
  'docs/cli.md': verbList,
};

const settings = Object.entries(
  manifest.contributes.configuration.properties as unknown as Record<string, Setting>,
);

interface Made {
  path: string;
  is: string;
  mustBe: string;
}

/** Each file that is made, whole or in part, as it is and as it must be. */
export async function madeFiles(): Promise<Made[]> {
  const path = join(root, contributed);
  const is = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return [...(await madePages()), { path, is, mustBe: await formatted(path, contributions()) }];
}

async function formatted(path: string, text: string): Promise<string> {
  const { code, errors } = await format(path, text, style);
  if (errors.length > 0) throw new Error(`${path}: ${errors.map((e) => e.message).join('; ')}`);
  return code;
}

function madePages(): Promise<Made[]> {
  return Promise.all(
    Object.entries(pages).map(async ([page, make]) => {
      const path = join(root, page);
      const is = readFileSync(path, 'utf8');
      const [before, rest = ''] = is.split(begin);
      const [, after] = rest.split(end);
      if (after === undefined) throw new Error(`${page} has no made part`);
      const text = `${before}${begin}\n\n${make()}\n\n${end}${after}`;
      return { path, is, mustBe: await formatted(path, text) };
    }),
  );
}

function contributions(): string {
  const ids = manifest.contributes.commands.map(({ command }) => command).sort();
  const commands = ids.map((id) => `${id.slice(prefix.length)}: '${id}',`);
  const values = settings.map(
    ([key, setting]) => `'${key.slice(prefix.length)}': ${typeOf(setting)};`,
  );
  return [
    '// Made by `npm run docs` from package.json, which is the place for changes.',
    `export const commands = {\n${commands.join('\n')}\n} as const;`,
    'export type CommandId = (typeof commands)[keyof typeof commands];\n',
    `/** What the settings hold by their schemas. A person may have written anything. */`,
    `export interface SettingValues {\n${values.join('\n')}\n}`,
    'export type SettingKey = keyof SettingValues;\n',
  ].join('\n');
}

function typeOf({ type, enum: choices, items }: Setting): string {
  if (choices !== undefined) return choices.map((one) => `'${one}'`).join(' | ');
  if (type === 'integer') return 'number';
  if (type === 'array') return items?.type === 'string' ? 'string[]' : 'unknown[]';
  return type;
}

function settingsTable(): string {
  const sorted = settings.toSorted(([, left], [, right]) => left.order - right.order);
  const rows = sorted.map(([key, setting]) => {
    const value = JSON.stringify(setting.default);
    const isNone = value === '""' || value === '[]' || value === '{}';
    const choices = setting.enum?.map((one) => `\`${one}\``).join(', ');
    const described = textOf(setting.markdownDescription ?? setting.description ?? '');
    const meaning = choices === undefined ? described : `${described} One of ${choices}.`;
    return `| \`${key}\` | ${isNone ? 'empty' : `\`${value}\``} | ${cell(meaning)} |`;
  });
  return ['| Setting | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

/** The words of `%key%`, with references to settings as code. */
function textOf(key: string): string {
  const text = (words as Record<string, string>)[key.slice(1, -1)] ?? key;
  return text.replaceAll(/`?#(sqliteBackup\.[\w.]+)#`?/g, '`$1`');
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
}

function verbList(): string {
  return Object.entries(verbs)
    .map(([name, { summary, usage, examples }]) => {
      const lines = examples.map((one) =>
        one.includes('sqlite-backup ') ? one : `sqlite-backup ${one}`,
      );
      return [
        `### ${name}`,
        summary,
        `\`\`\`text\n${usage}\n\`\`\``,
        `\`\`\`sh\n${lines.join('\n')}\n\`\`\``,
      ].join('\n\n');
    })
    .join('\n\n');
}

if (process.argv[1] === import.meta.filename) {
  for (const { path, mustBe } of await madeFiles()) writeFileSync(path, mustBe);
}
