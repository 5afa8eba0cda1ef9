/** What the page asks the server, beside log-ins and what one view alone needs. */

import { graphql, type ResultOf } from './graphql'

export const FILE_ROW = graphql(`
  fragment FileRow on File @_unmask {
    id
    name
    contentType
    size
    status
    visibility
    createdAt
    expiresAt
    deletedAt
    version
    resource {
      type
      id
    }
    metadata {
      key
      value
    }
    uploadedBy {
      id
      username
      email
      name
    }
  }
`)
export type FileRow = ResultOf<typeof FILE_ROW>

export const FILES = graphql(
  `
    query Files($filter: FileFilter, $orderBy: FileOrder, $first: Int, $after: String) {
      files(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          ...FileRow
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  `,
  [FILE_ROW],
)

export const COUNT = graphql(`
  query Count($filter: FileFilter) {
    files(filter: $filter, first: 1) {
      totalCount
    }
  }
`)

export const FILE_EVENTS = graphql(
  `
    subscription FileEvents($after: String) {
      fileEvents(after: $after) {
        cursor
        action
        fileId
        file {
          ...FileRow
        }
        actor {
          id
          username
          email
          name
        }
      }
    }
  `,
  [FILE_ROW],
)

export const DELETE = graphql(`
  mutation Delete($input: DeleteFilesInput!) {
    deleteFiles(input: $input) {
      files {
        id
      }
      userErrors {
        message
        code
        path
      }
    }
  }
`)

export const RESTORE = graphql(`
  mutation Restore($input: RestoreFilesInput!) {
    restoreFiles(input: $input) {
      files {
        id
      }
      userErrors {
        message
        code
        path
      }
    }
  }
`)

export const HOME = graphql(`
  query Home {
    viewer {
      id
      memberships(first: 100) {
        nodes {
          role
          tenant {
            id
            name
          }
        }
      }
    }
    tenant {
      id
      name
      usage {
        fileCount
        bytesStored
        bytesInFlight
      }
      limits {
        maxBytesStored
        maxFileSize
        allowedContentTypes
        trashRetentionDays
      }
    }
    serverInfo {
      version
      maxFileSize
      signUpEnabled
    }
  }
`)
export type Home = ResultOf<typeof HOME>

export const UNFINISHED = graphql(`
  query Unfinished {
    uploads(first: 100) {
      id
      name
      size
      offset
      url
      createdAt
      expiresAt
    }
  }
`)
export type Unfinished = ResultOf<typeof UNFINISHED>['uploads'][number]

interface Named {
  username: string
  email: string | null
  name: string | null
}

export function nameOf(user: Named): string {
  return user.name ?? user.email ?? user.username
}

export function noted(file: { metadata: { key: string; value: string }[] }, key: string): string {
  return file.metadata.find((entry) => entry.key === key)?.value ?? ''
}
