/** What links are asked for and changed by. */

import { graphql, type ResultOf } from '../graphql'

const LINK = graphql(`
  fragment Link on ShareLink @_unmask {
    id
    kind
    url
    hasPassword
    maxUses
    useCount
    expiresAt
    revokedAt
    createdAt
    file {
      id
      name
    }
  }
`)
export type Link = ResultOf<typeof LINK>

export const LINKS_OF_FILE = graphql(
  `
    query LinksOfFile($id: ID!) {
      file(id: $id) {
        shareLinks(first: 50) {
          nodes {
            ...Link
          }
        }
      }
    }
  `,
  [LINK],
)

export const LINKS = graphql(
  `
    query Links {
      tenant {
        shareLinks(first: 100) {
          nodes {
            ...Link
          }
        }
      }
    }
  `,
  [LINK],
)

export const CREATE = graphql(
  `
    mutation CreateLink($input: CreateShareLinkInput!) {
      createShareLink(input: $input) {
        shareLink {
          ...Link
        }
        userErrors {
          message
          code
          path
        }
      }
    }
  `,
  [LINK],
)

export const REVOKE = graphql(`
  mutation RevokeLink($input: RevokeShareLinkInput!) {
    revokeShareLink(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)

/** Write a link's address by the origin that this page came from: it is the one that is known to work. */
export function addressOf(link: { url: string }): string {
  const { pathname, search } = new URL(link.url, location.href)
  return location.origin + pathname + search
}

export function isOver(link: Link, now = new Date()): boolean {
  const isUsedUp = link.maxUses !== null && link.useCount >= link.maxUses
  return link.revokedAt !== null || isUsedUp || (link.expiresAt !== null && new Date(link.expiresAt) <= now)
}
