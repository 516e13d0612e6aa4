#!/usr/bin/env node
// The program of the npm package. It is old JavaScript, so that an old Node.js can say in words that it is too old.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 14)) {
  console.error(
    `sqlite-backup needs Node.js 22.14 or newer; this is Node.js ${process.versions.node} (${process.execPath}).\n` +
      '  Install a newer one from https://nodejs.org, or name it: /path/to/node sqlite-backup …',
  );
  process.exitCode = 1;
} else {
  import('./cli.js');
}
