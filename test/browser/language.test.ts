import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getL10nPseudoLocalized } from '@vscode/l10n-dev';
import type { Locator } from 'playwright-core';
import { temporaryFolder } from '../support/hosts/lifetime.ts';
import { createLivedInWorkspace } from '../support/livedInWorkspace.ts';
import { everyNth, itInPart } from '../support/operations.ts';
import { changeSettings } from './setup.ts';
import { openWindow, startHost, type Host, type Window } from './window.ts';

type Texts = Record<string, string>;

const pseudo = 'qps-ploc';

describe('another language in a window', () => {
  const workspace = temporaryFolder('shop');
  let host: Host;
  let extension: string;

  before(async () => {
    await createLivedInWorkspace(workspace.path, 3);
    changeSettings(workspace.path, { 'sqliteBackup.backupsFolder': 'backups' });
    host = await startHost({});
    const [found = ''] = globSync('sqlite-backup*', { cwd: host.server.extensionsFolder });
    extension = join(host.server.extensionsFolder, found);
    for (const name of ['l10n/bundle.l10n', 'package.nls']) {
      const made = getL10nPseudoLocalized(read(`${name}.json`));
      writeFileSync(join(extension, `${name}.${pseudo}.json`), JSON.stringify(made));
    }
  });

  after(async () => {
    await host?.close();
    workspace.remove();
  });

  itInPart('is German, or Chinese, in views and the runbook', async () => {
    for (const language of everyNth(['de', 'zh-cn'], 2, 0)) {
      await inLanguage(language, async (window, { nls, bundle }) => {
        await window.openSidebar(nls('displayName'));
        const row = window.treeItem(/^data\/sessions\.db, /);
        await row
          .getByText(bundle('changed since backup {0} · {1}').split('{0}')[0] ?? '')
          .waitFor();
        await window.runCommand(`${nls('category')}: ${nls('command.restore')}`);
        await window.option(/app_.*\.db/).click();
        await window.webview.getByText(bundle('Keep the current database')).first().waitFor();
        await window.screenshot(`runbook-${language}`);
      });
    }
  });

  const read = (name: string): Texts =>
    JSON.parse(readFileSync(join(extension, name), 'utf8')) as Texts;

  const inLanguage = async (
    language: string,
    use: (
      window: Window,
      words: Record<'nls' | 'bundle', (key: string) => string>,
    ) => Promise<void>,
  ): Promise<void> => {
    const nls = read(`package.nls.${language}.json`);
    const bundle = read(`l10n/bundle.l10n.${language}.json`);
    const window = await openWindow({ folder: workspace.path, host, language });
    try {
      await use(window, {
        nls: (key) => nls[key] ?? key,
        bundle: (key) => bundle[key] ?? key,
      });
    } catch (error) {
      await window.screenshot(`failed-${language}`);
      throw error;
    } finally {
      await window.close();
    }
  };

  itInPart('leaves nothing in English in views, messages, pick lists and the runbook', async () => {
    await inLanguage(pseudo, async (window, { nls }) => {
      await window.openSidebar(nls('displayName'));
      const row = window.treeItem(/^data\/app\.db, /);
      await row.waitFor();
      await row.click();
      await window.treeItem(/^data\/cache\.db, /).waitFor();
      await window.screenshot('pseudo-views');
      await expectNoEnglish(window.page.locator('.part.sidebar .monaco-list-row'));

      await window.treeItem(/^data\/cache\.db, /).hover();
      await window
        .treeItem(/^data\/cache\.db, /)
        .getByRole('button', { name: nls('command.backUp') })
        .click();
      const told = window.page.locator('.notification-toast .notification-list-item-message');
      await told.waitFor();
      await window.screenshot('pseudo-message');
      await expectNoEnglish(told);

      await window.runCommand(`${nls('category')}: ${nls('command.restore')}`);
      const options = window.quickInput.getByRole('option').filter({ hasText: /\.db/ });
      await options.first().waitFor();
      await window.screenshot('pseudo-pick');
      await expectNoEnglish(options);
      await options.first().click();
      await window.webview.locator('h1, h2').first().waitFor();
      await window.screenshot('pseudo-runbook');
      await expectNoEnglish(window.webview.locator('body'));
    });
  });
});

/** Data that the words are about: names and paths, notes, sizes, hashes, days; and VS Code's own label and keys of a row. */
const data =
  /^Actions for |^(?:Control|Shift|Alt)\+.*|"[^"]*"|[\w./-]*\.(?:db|sqlite|json|zip|env|gitignore)[\w.-]*|[\w.-]*\/[\w./-]+|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\w*|\b(?:KB|MB|GB|bytes|WAL|SHA|exact)\b|[0-9a-f]{12,}/g;

/** Runs in the page: all that elements show, and all that is read out. */
const textsOf = `(elements) => elements.flatMap((element) => {
  const said = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (parent.closest('pre, code, script, style') === null && parent.checkVisibility())
      said.push(node.textContent);
  }
  // A list uses its rows again, and what a row hides is of the entry before.
  for (const one of element.querySelectorAll('[aria-label], [title]'))
    if (one.checkVisibility()) said.push(one.ariaLabel ?? '', one.title ?? '');
  return said;
})`;

async function expectNoEnglish(where: Locator): Promise<void> {
  const texts: string[] = await where.evaluateAll(textsOf);
  const english = [...new Set(texts)].filter((text) =>
    /\b[a-z]{3,}\b/i.test(text.replace(data, '')),
  );
  assert.deepEqual(english, []);
}
