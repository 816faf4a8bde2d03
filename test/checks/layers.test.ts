import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkLayers, layers } from "../../tools/checks/layers.ts";
import { refusesPlanted } from "./planted.ts";

describe("layers", () => {
  refusesPlanted("layers", checkLayers);

  it("let a folder import lower floors and nothing above, as the table itself says", () => {
    for (const [name, layer] of Object.entries(layers)) {
      for (const target of layer.imports) {
        if (target === "*") assert.equal(layer.floor, 4, name);
        else assert.ok((layers[target]?.floor ?? 9) <= layer.floor, `${name} imports ${target}`);
      }
    }
  });

  it("let outside packages in through one folder each", () => {
    const owners = new Map<string, string>();
    for (const [name, layer] of Object.entries(layers)) {
      for (const used of layer.packages.filter((one) => one !== "node:*")) {
        assert.equal(owners.get(used), undefined, `${used} enters through ${owners.get(used)} and ${name}`);
        owners.set(used, name);
        assert.ok(layer.floor >= 3, `${name} is on floor ${layer.floor}`);
      }
    }
  });

  it("have no two folders that import each other, ports apart", () => {
    for (const [name, layer] of Object.entries(layers)) {
      for (const target of layer.imports) {
        if (!name.startsWith("base")) assert.ok(!layers[target]?.imports.includes(name), `${name} and ${target}`);
      }
    }
  });
});
