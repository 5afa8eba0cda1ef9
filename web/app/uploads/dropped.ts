/** Files out of what was dropped: single ones, and whole folders with all that is in them. */

export interface Found {
  file: File
  /** Where in its folder it lay, with the folder's own name; empty for a single file. */
  folder: string
}

/** Take files from an `<input>`; a folder's have their path. */
export function foundIn(files: FileList | readonly File[]): Found[] {
  return [...files].map((file) => ({ file, folder: parent(file.webkitRelativePath ?? '') }))
}

function parent(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}

/** Take what was dropped. To be called at once: a drop's content is gone after its event. */
export function foundInDrop(transfer: DataTransfer): Promise<Found[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null)
  // Loose files in one go: asking each entry for its file costs a message to another process.
  const loose = foundIn(transfer.files)
  const folders = entries.filter((entry): entry is FileSystemDirectoryEntry => entry?.isDirectory === true)
  if (folders.length === 0) return Promise.resolve(loose)
  const names = new Set(folders.map((folder) => folder.name))
  const singles = loose.filter(({ file }, index) => !(entries[index]?.isDirectory ?? names.has(file.name)))
  return Promise.all(folders.map(walk)).then((walked) => [...singles, ...walked.flat()])
}

async function walk(folder: FileSystemDirectoryEntry): Promise<Found[]> {
  const found: Found[] = []
  const path = folder.fullPath.replace(/^\//, '')
  for (const entry of await children(folder)) {
    if (entry.isDirectory) found.push(...(await walk(entry as FileSystemDirectoryEntry)))
    else found.push({ file: await fileOf(entry as FileSystemFileEntry), folder: path })
  }
  return found
}

async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader()
  const all: FileSystemEntry[] = []
  // A reader gives a hundred at a time, and none at the end.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (some.length === 0) return all
    all.push(...some)
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject))
}
