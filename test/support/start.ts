// npm start [FOLDER]: VS Code with this extension, until Ctrl+C or the window closes. Without a folder, on a sample
// workspace whose database is written to all the time. Desktop VS Code runs the development build. The VS Code server
// runs one only for tests, without notifications; so it gets the packed extension, as people install it.
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { findDesktop, openDesktop } from './hosts/desktop.ts';
import { atEnd, temporaryFolder } from './hosts/lifetime.ts';
import { startServer, windowUrl } from './hosts/vscodeServer.ts';
import { packageExtension } from './package.ts';
import { createSampleWorkspace, startWriter } from './sampleWorkspace.ts';

const ROOT = resolve(import.meta.dirname, '../..');

const folder = process.argv[2] ? resolve(process.argv[2]) : liveSample();
const desktop = await findDesktop();
if (desktop) {
  execFileSync(process.execPath, ['esbuild.mjs'], { cwd: ROOT, stdio: 'inherit' });
  const window = openDesktop(desktop, { folder, extension: ROOT });
  console.log(`VS Code has ${folder} open. Ctrl+C ends it.`);
  process.exit(await window.closed);
}
const server = await startServer({ allBuiltIns: true, extensions: [await packageExtension()] });
const url = windowUrl(server, folder);
console.log(`Open ${url}\nVS Code ${server.version} serves ${folder} there. Ctrl+C ends it.`);
await server.exited;
process.exit(1);

function liveSample(): string {
  const sample = temporaryFolder('sample');
  createSampleWorkspace(sample.path);
  const writer = startWriter(sample.path);
  atEnd(() => writer.stop());
  return sample.path;
}
