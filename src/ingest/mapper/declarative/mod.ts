/** Mappers given as data: the face of the room. */
export { createDeclarative } from "./compile.ts";
export { FIELDS, type Field } from "./fields.ts";
export { type Fault, judgeDeclarative } from "./judge.ts";
export { DECLARATIVE_KINDS, type DeclarativeKind, type DeclarativeSpec, TIME_UNITS } from "./spec.ts";
