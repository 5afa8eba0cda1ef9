/** Writes the types that gql.tada checks the page's operations with, out of the schema that the server is held to. */

import { minifyIntrospection, outputIntrospectionFile } from '@gql.tada/internal'
import { buildSchema, introspectionFromSchema } from 'graphql'
import { readFileSync, writeFileSync } from 'node:fs'

const schema = new URL('../../schema/schema.graphql', import.meta.url)
const types = new URL('../app/graphql-env.d.ts', import.meta.url)

const introspection = introspectionFromSchema(buildSchema(readFileSync(schema, 'utf8')))
writeFileSync(types, outputIntrospectionFile(minifyIntrospection(introspection), { fileType: '.d.ts', shouldPreprocess: true }))
