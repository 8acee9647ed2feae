/**
 * What pages under test put on their window for the test to use, and names of browsers that TypeScript's DOM library
 * lacks. A test's function that runs in a page is checked against these.
 */
interface Window {
  // biome-ignore lint/suspicious/noExplicitAny: each page of a test has hooks of its own.
  [hook: string]: any;
}

/** The page's script gets them as text in front of it. */
declare const SYNTHETIC_OPTIONS: import("./lib/synthetic-media.mjs").SyntheticOptions;

/** Chromium only. */
interface RTCRtpSender {
  createEncodedStreams(): { readable: ReadableStream; writable: WritableStream };
}
interface RTCRtpReceiver {
  createEncodedStreams(): { readable: ReadableStream; writable: WritableStream };
}

// biome-ignore lint/suspicious/noExplicitAny: Chromium's class, which TypeScript does not know yet.
declare const MediaStreamTrackGenerator: any;

/** Workers only; the tests' storage offers the same. */
interface FileSystemSyncAccessHandle {
  close(): void;
  flush(): void;
  getSize(): number;
  read(buffer: AllowSharedBufferSource, options?: { at?: number }): number;
  truncate(newSize: number): void;
  write(buffer: AllowSharedBufferSource, options?: { at?: number }): number;
}
interface FileSystemFileHandle {
  createSyncAccessHandle(): Promise<FileSystemSyncAccessHandle>;
}
