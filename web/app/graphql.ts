/** Typed operations: a field that the schema does not have, or has with another type, does not compile. */

import { initGraphQLTada } from 'gql.tada'

import type { introspection } from './graphql-env'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

export const graphql = initGraphQLTada<{
  introspection: introspection
  scalars: { DateTime: string; URL: string; BigInt: number; JSON: Json }
}>()

export type { FragmentOf, ResultOf, VariablesOf } from 'gql.tada'
export { readFragment } from 'gql.tada'
