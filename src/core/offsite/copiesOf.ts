/** The copies that a backup has elsewhere, as its details tell, with the commands that bring each back by hand. */
import { basename } from 'node:path';
import { readManifestOf } from '../manifest/manifestFile.ts';
import { commandsByHand } from './byHand.ts';
import { type Destination, placeOf, storedDestinations } from './destination.ts';

export interface CopyByHand {
  /** Of the destination. */
  name: string;
  provedAt?: string;
  commands: string[];
}

/** Only copies in a known destination: the details of a backup hold no address. Asks no engine. */
export function copiesByHand({
  backup,
  destinations: given,
}: {
  backup: string;
  destinations?: Destination[] | undefined;
}): CopyByHand[] {
  const parsed = readManifestOf(backup);
  if (parsed?.kind !== 'manifest' && parsed?.kind !== 'bundle') return [];
  const { manifest } = parsed;
  if (manifest.offsite === undefined) return [];
  const destinations = given ?? storedDestinations();
  return manifest.offsite.flatMap(({ place, id, provedAt, removedAt }) => {
    const destination = destinations.find((one) => placeOf(one) === place);
    if (destination === undefined || removedAt !== undefined) return [];
    // rclone keeps the name at that time in the id.
    const name = destination.engine === 'rclone' ? basename(id) : basename(backup);
    const commands = commandsByHand(destination, { id, name, sha256: manifest.sha256 });
    return [{ name: destination.name, commands, ...(provedAt !== undefined && { provedAt }) }];
  });
}
