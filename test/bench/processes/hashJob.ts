// One verified snapshot, hashed beside the check or after it: node hashJob DATABASE FOLDER beside|after
import { takeSnapshot } from '../../../src/core/snapshot/snapshot.ts';
import { digestBeside } from '../../../src/worker/digestThread.ts';
import { snapshotRequest } from '../request.ts';

const [database = '', folder = '', when] = process.argv.slice(2);
await takeSnapshot(snapshotRequest(database, folder, { method: 'exact', verify: true }), {
  onProgress: () => undefined,
  beforePublish: () => Promise.resolve(),
  ...(when === 'beside' && { digestBeside }),
});
