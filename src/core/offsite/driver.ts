/** What every engine can do for us. */
import type { BundleManifest, Manifest } from '../manifest/manifest.ts';

export interface Parcel {
  /** A private folder that holds the backup and its manifest, and nothing else of that name. */
  folder: string;
  name: string;
  manifest: Manifest | BundleManifest;
  /** Another attempt found other bytes there. */
  again?: boolean;
}

/** One copy that is whole: the backup and its manifest are both there. */
export interface Remote {
  id: string;
  name: string;
  createdAt: string;
  sha256: string;
  /** As far as the place tells without a download. */
  sizeBytes?: number;
  database?: string;
  /** The machine that sent it. */
  host?: string;
}

export interface Driver {
  version: string;
  /** Whether a repository is there. Throws what else is wrong. */
  exists: () => Promise<boolean>;
  /** Makes a repository. */
  create: () => Promise<void>;
  /** Newest first; only what is whole. */
  list: () => Promise<Remote[]>;
  /** Returns the id. */
  send: (parcel: Parcel, onProgress: (doneBytes: number) => void) => Promise<string>;
  /** The bytes of the backup, or of its manifest. */
  read: (
    remote: Remote,
    which: 'backup' | 'manifest',
    onData: (chunk: Buffer) => void,
  ) => Promise<void>;
}
