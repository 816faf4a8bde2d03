// plant: src/testing/planted.ts
// expect: layers/outside:3
import { check } from "../../tools/check.ts";
check();
