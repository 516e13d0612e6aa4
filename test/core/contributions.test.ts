import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { databaseExtensions } from '../../src/core/sqlite/header.ts';
import { keepRules } from '../../src/core/catalog/retention.ts';
import { commands } from '../../src/editor/contributed.ts';
import { contextKeys, section, views } from '../../src/editor/ids.ts';

const root = resolve(import.meta.dirname, '../..');
const manifestText = readFileSync(join(root, 'package.json'), 'utf8');
const strings = JSON.parse(readFileSync(join(root, 'package.nls.json'), 'utf8')) as Record<
  string,
  string
>;

interface Entry {
  command?: string;
  when?: string;
  category?: string;
  title?: string;
}
const manifest = JSON.parse(manifestText) as {
  contributes: {
    commands: Required<Pick<Entry, 'command' | 'category' | 'title'>>[];
    menus: Record<string, Entry[]>;
    views: Record<string, { id: string; icon?: string }[]>;
    viewsWelcome: { view: string; contents: string }[];
    configuration: { properties: Record<string, Record<string, unknown>> };
  };
  capabilities: { untrustedWorkspaces: { restrictedConfigurations: string[] } };
};
const { contributes } = manifest;

describe('the manifest', () => {
  it('gives every command a category and a title in Title Case', () => {
    for (const { command, category, title } of contributes.commands) {
      assert.equal(category, '%category%', command);
      assert.match(
        resolveString(title),
        /^(✓ )?[A-Z][a-z]+( ([A-Z][\w-]*|a|in|for|from|of|with|without))*…?$/,
        command,
      );
    }
  });

  it('shows only contributed commands in menus', () => {
    const known = new Set<string>(Object.values(commands));
    for (const [menu, entries] of Object.entries(contributes.menus)) {
      for (const { command } of entries) {
        assert.ok(command === undefined || known.has(command), `${menu}: ${command}`);
      }
    }
  });

  it('contributes the views that the code fills, each with an icon and a welcome', () => {
    const contributed = Object.values(contributes.views).flat();
    assert.deepEqual(contributed.map(({ id }) => id).sort(), Object.values(views).sort());
    for (const { id, icon } of contributed) {
      assert.ok(icon, id);
      assert.ok(
        contributes.viewsWelcome.some(({ view }) => view === id),
        id,
      );
    }
  });

  it('contributes the settings that the code reads, each with a default, an order and a description', () => {
    const properties = contributes.configuration.properties;
    const code = [...globSync('src/editor/**/*.ts', { cwd: root })]
      .filter((path) => !path.endsWith('contributed.ts'))
      .map((path) => readFileSync(join(root, path), 'utf8'))
      .join('\n');
    for (const [key, property] of Object.entries(properties)) {
      const name = key.slice(section.length + 1);
      const isRule = keepRules.some((rule) => name === `retention.${rule}`);
      assert.ok(isRule || code.includes(`'${name}'`), `nothing reads ${key}`);
      assert.ok('default' in property, key);
      assert.equal(typeof property['order'], 'number', key);
      const description = property['markdownDescription'] ?? property['description'];
      assert.equal(typeof description, 'string', key);
    }
  });

  it('knows the same names of databases by default, in the Explorer and in the docs', () => {
    const extensions = databaseExtensions.map((one) => one.slice(1));
    const glob = `**/*.{${extensions.join(',')}}`;
    assert.deepEqual(contributes.configuration.properties['sqliteBackup.include']?.['default'], [
      glob,
    ]);
    assert.ok(readFileSync(join(root, 'docs/settings.md'), 'utf8').includes(extensions.join(' ')));
    const [explorer] = contributes.menus['explorer/context'] ?? [];
    assert.ok(explorer?.when?.includes(`/\\.(${extensions.join('|')})$/i`));
  });

  it('restricts only settings that exist', () => {
    for (const key of manifest.capabilities.untrustedWorkspaces.restrictedConfigurations) {
      assert.ok(key in contributes.configuration.properties, key);
    }
  });

  it('uses only context keys that the code sets', () => {
    const used = new Set(manifestText.match(/(?<!config\.)sqliteBackup\.\w+(?= (==|!=|&&))/g));
    const known = new Set<string>([...Object.values(contextKeys), ...Object.values(views)]);
    for (const key of used) assert.ok(known.has(key), key);
  });

  it('takes every string that a person sees from package.nls.json, and leaves none of it unused', () => {
    const used = new Set([...manifestText.matchAll(/"%([^%"]+)%"/g)].map(([, key]) => key));
    assert.deepEqual([...used].sort(), Object.keys(strings).sort());
  });
});

describe('what people read in the editor', () => {
  const files = globSync('src/editor/**/*.ts', { cwd: root });

  it('is handed to the translator as whole literals', () => {
    for (const file of files) {
      const text = readFileSync(join(root, file), 'utf8');
      const concatenated = /\bt\(\s*(`[^`]*\$\{|'[^']*'\s*\+)/.exec(text);
      assert.equal(concatenated, null, file);
    }
  });

  it('reaches notifications only through the one place that makes it inert', () => {
    for (const file of files) {
      const text = readFileSync(join(root, file), 'utf8');
      assert.doesNotMatch(text, /notify\.\w+\(\s*['"`]/, file);
      if (file.endsWith('inert.ts')) continue;
      assert.doesNotMatch(text, /show(Information|Warning|Error)Message/, file);
    }
  });
});

function resolveString(text: string): string {
  return strings[/^%(.+)%$/.exec(text)?.[1] ?? ''] ?? text;
}
