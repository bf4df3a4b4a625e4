#!/usr/bin/env bash
# Prints the operator's objects for `kubectl apply`, rendered from a chart (by default this repository's) without hooks and tests.
#   scripts/manifests.sh [CHART] >deploy/kustomize/install.yaml
set -euo pipefail
cd "$(dirname "$0")/.."
helm=tools/bin/helm
[ -x "$helm" ] || helm=helm
cat <<'END'
# The operator without Helm, rendered from charts/runtime-operator with deploy/values.yaml (scripts/manifests.sh). It reads the URL
# of Redis from a Secret that you create first:
#   kubectl create namespace runtime-operator
#   kubectl -n runtime-operator create secret generic runtime-operator-redis --from-literal=url=redis://redis.data.svc:6379/0
#   kubectl apply --server-side -f install.yaml
---
apiVersion: v1
kind: Namespace
metadata:
  name: runtime-operator
END
exec "$helm" template runtime-operator "${1:-charts/runtime-operator}" --namespace runtime-operator --no-hooks --values deploy/values.yaml
