// Runs the extension suite: node test/support/hosts/runExtensionTests.ts [--grep PATTERN]
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { format } from 'node:util';
import { launchChromium } from './chromium.ts';
import { findDesktop, openDesktop } from './desktop.ts';
import type { Desktop } from './desktop.ts';
import { temporaryFolder } from './lifetime.ts';
import { startServer, windowUrl } from './vscodeServer.ts';
import { createSampleWorkspace } from '../sampleWorkspace.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const SUITE = join(ROOT, 'out/extension/index.cjs');
const TIMEOUT_MS = 20 * 60_000;
const OPEN_TIMEOUT_MS = 120_000;

/** What starts the suite's lines in the log of a web window, where VS Code writes much as well. */
const MARK = '[suite] ';

const [flag, pattern = ''] = process.argv.slice(2);
const sample = temporaryFolder('workspace');
createSampleWorkspace(sample.path);
process.exitCode = await runExtensionTests(sample.path, flag === '--grep' ? pattern : '');
sample.remove();

/**
 * Runs the bundled suite in a real VS Code with the folder `workspace` open: in desktop VS Code where there is one, else
 * in the VS Code server. Returns its exit code. Rejects when the window goes away, and after ten minutes.
 */
async function runExtensionTests(workspace: string, grep: string): Promise<number> {
  const env = grep === '' ? {} : { TEST_GREP: grep };
  const desktop = await findDesktop();
  return desktop ? runInDesktop(desktop, workspace, env) : runInServer(workspace, env);
}

async function runInDesktop(
  desktop: Desktop,
  workspace: string,
  env: Record<string, string>,
): Promise<number> {
  const window = openDesktop(desktop, {
    folder: workspace,
    extension: ROOT,
    tests: SUITE,
    env: { ...env, TEST_HOST: 'desktop' },
  });
  try {
    return await beforeTimeout(window.closed);
  } finally {
    window.close();
  }
}

async function runInServer(workspace: string, env: Record<string, string>): Promise<number> {
  const browser = await launchChromium();
  const chromium = browser.version().split('.')[0];
  const host = `server, web window in Chromium ${chromium}`;
  const server = await startServer({
    testDriver: true,
    env: { ...env, TEST_HOST: host, TEST_LOG_MARK: MARK },
  });
  const otherLog: string[] = [];
  try {
    // Each frame of an animation, such as that of a search for databases, takes time from the tests.
    const page = await browser.newPage({ reducedMotion: 'reduce' });
    const ended = Promise.withResolvers<number>();
    // The page that is closed after another failure rejects it as well.
    ended.promise.catch(() => undefined);
    await page.exposeFunction('codeAutomationLog', (_type: string, args: unknown[]) => {
      const line = format(...args);
      if (line.startsWith(MARK)) console.log(line.slice(MARK.length));
      else otherLog.push(line);
    });
    await page.exposeFunction('codeAutomationExit', ended.resolve);
    page.once('crash', () => ended.reject(new Error('The window crashed')));
    page.once('close', () => ended.reject(new Error('The window was closed')));
    void server.exited.then(() => ended.reject(new Error('The VS Code server ended')));

    const url = windowUrl(server, workspace, { extension: ROOT, tests: SUITE });
    await page.goto(url, { waitUntil: 'commit', timeout: OPEN_TIMEOUT_MS });
    const exitCode = await beforeTimeout(ended.promise);
    if (exitCode !== 0) printLog(otherLog);
    return exitCode;
  } catch (error) {
    printLog(otherLog);
    throw error;
  } finally {
    await browser.close();
    server.stop();
  }
}

async function beforeTimeout(ended: Promise<number>): Promise<number> {
  const timeout = new AbortController();
  const expired = delay(TIMEOUT_MS, undefined, { signal: timeout.signal }).then(() => {
    throw new Error(`The extension suite did not end within ${TIMEOUT_MS / 60_000} minutes`);
  });
  try {
    return await Promise.race([ended, expired]);
  } finally {
    expired.catch(() => undefined);
    timeout.abort();
  }
}

function printLog(lines: string[]): void {
  // The server is installed without its native helpers, which it says at length.
  const telling = lines.filter((line) => !/spdlog|watchdog/.test(line));
  console.log(`The window's log:\n${telling.slice(-50).join('\n')}`);
}
