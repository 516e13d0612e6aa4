import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const FOLDERS = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/Applications/Google Chrome.app/Contents/MacOS',
  '/Applications/Chromium.app/Contents/MacOS',
  'C:\\Program Files\\Google\\Chrome\\Application',
];

/** Starts a headless Chromium, the one of `CHROMIUM` when set; it ends with this process. */
export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? findChromium() ?? installChromium(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

function findChromium(): string | undefined {
  const names = [...NAMES, 'Google Chrome', 'Chromium'];
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return FOLDERS.flatMap((folder) => names.map((name) => join(folder, name + suffix))).find(
    (path) => existsSync(path),
  );
}

function installChromium(): string {
  const hasAptGet = spawnSync('apt-get', ['--version']).status === 0;
  if (process.getuid?.() === 0 && hasAptGet) {
    console.log('Installing Chromium: apt-get update && apt-get install -y chromium');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update'], { env, stdio: 'ignore' });
    const install = spawnSync('apt-get', ['install', '-y', 'chromium'], { env, encoding: 'utf8' });
    const installed = findChromium();
    if (installed) return installed;
    throw new Error(`apt-get could not install Chromium:\n${install.stdout}${install.stderr}`);
  }
  throw new Error(
    hasAptGet
      ? 'No Chromium found. Run: sudo apt-get install -y chromium'
      : 'No Chromium found. Install Google Chrome, or set CHROMIUM to the path of a Chromium.',
  );
}
