#!/usr/bin/env bash
# Makes the stubs in gen/ from ../../proto. google/rpc is only read: its Python modules come with googleapis-common-protos.
set -euo pipefail
cd "$(dirname "$0")"
rm -rf gen
mkdir gen
.venv/bin/python -m grpc_tools.protoc -I ../../proto \
  --python_out=gen --pyi_out=gen --grpc_python_out=gen ../../proto/millrace/v1/*.proto
