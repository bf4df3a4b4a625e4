{{- /* Generated from values.yaml: `UPDATE=1 cargo test --test chart` writes it. */ -}}
{{- define "runtime-operator.defaults" -}}
{
  "global": {
    "imageRegistry": "",
    "imagePullSecrets": [],
    "compatibility": {
      "openshift": {
        "adaptSecurityContext": "auto"
      }
    }
  },
  "enabled": true,
  "nameOverride": "",
  "fullnameOverride": "",
  "commonLabels": {},
  "commonAnnotations": {},
  "image": {
    "registry": "",
    "repository": "veralux/runtime-operator",
    "tag": "",
    "digest": "",
    "pullPolicy": "IfNotPresent"
  },
  "imagePullSecrets": [],
  "crds": {
    "enabled": true,
    "install": null,
    "keep": true,
    "annotations": {}
  },
  "watchNamespaces": [],
  "clusterId": "",
  "leaderElection": true,
  "leaseName": "runtime-operator",
  "publishWebhookSecret": true,
  "bindAddress": "",
  "logLevel": "info",
  "logFormat": "json",
  "redis": {
    "url": "",
    "existingSecret": {
      "name": "",
      "urlKey": "",
      "usernameKey": "",
      "passwordKey": "",
      "caKey": "",
      "certKey": "",
      "keyKey": ""
    },
    "sentinel": {
      "addresses": [],
      "service": ""
    },
    "embedded": {
      "enabled": false,
      "image": {
        "registry": "",
        "repository": "redis",
        "tag": "7.4-bookworm",
        "digest": "",
        "pullPolicy": "IfNotPresent"
      },
      "password": "",
      "resources": {}
    }
  },
  "admin": {
    "enabled": false,
    "allowSecretRead": false,
    "auth": "kubernetes",
    "keySecret": {
      "name": "",
      "key": "keys"
    },
    "insecure": false,
    "corsOrigins": [],
    "port": 8080,
    "tls": {
      "secretName": "",
      "certManager": {
        "enabled": false,
        "issuerRef": {
          "name": "",
          "kind": "Issuer",
          "group": "cert-manager.io"
        },
        "dnsNames": [],
        "duration": "2160h",
        "renewBefore": "720h"
      }
    }
  },
  "service": {
    "type": "ClusterIP",
    "adminPort": 8080,
    "telemetryPort": 8081,
    "labels": {},
    "annotations": {}
  },
  "ingress": {
    "enabled": false,
    "className": "",
    "labels": {},
    "annotations": {},
    "hosts": [],
    "path": "/api/admin/runtime",
    "tls": []
  },
  "httpRoute": {
    "enabled": false,
    "labels": {},
    "annotations": {},
    "parentRefs": [],
    "hostnames": [],
    "path": "/api/admin/runtime"
  },
  "networkPolicy": {
    "enabled": false,
    "adminFrom": [],
    "telemetryFrom": [],
    "redisTo": [],
    "redisPorts": [],
    "apiServerTo": [],
    "apiServerPorts": [
      443,
      6443
    ],
    "extraEgress": []
  },
  "telemetry": {
    "port": 8081,
    "otlpEndpoint": ""
  },
  "serviceMonitor": {
    "enabled": false,
    "labels": {},
    "additionalLabels": {},
    "annotations": {},
    "namespace": "",
    "honorLabels": false,
    "interval": "30s",
    "scrapeTimeout": "10s",
    "relabelings": [],
    "metricRelabelings": []
  },
  "podMonitor": {
    "enabled": false,
    "labels": {},
    "additionalLabels": {},
    "annotations": {},
    "namespace": "",
    "honorLabels": false,
    "interval": "30s",
    "scrapeTimeout": "10s",
    "relabelings": [],
    "metricRelabelings": []
  },
  "prometheusRule": {
    "enabled": false,
    "labels": {},
    "annotations": {}
  },
  "dashboard": {
    "enabled": false,
    "namespace": "",
    "labels": {},
    "annotations": {}
  },
  "rbac": {
    "create": true,
    "aggregate": true,
    "aggregateToEdit": false,
    "adminRoles": true
  },
  "claimsPolicy": {
    "enabled": false,
    "validationActions": [
      "Deny"
    ],
    "namespaceSelector": {}
  },
  "serviceAccount": {
    "create": true,
    "name": "",
    "labels": {},
    "annotations": {}
  },
  "replicaCount": 2,
  "strategy": {},
  "deploymentAnnotations": {},
  "revisionHistoryLimit": 5,
  "terminationGracePeriodSeconds": 30,
  "podDisruptionBudget": {
    "enabled": true,
    "maxUnavailable": 1
  },
  "priorityClassName": "",
  "priorityClass": {
    "create": false,
    "value": 1000000
  },
  "flowControl": {
    "enabled": false,
    "shares": 5,
    "matchingPrecedence": 700
  },
  "resources": {},
  "probes": {
    "startup": {
      "periodSeconds": 1,
      "timeoutSeconds": 2,
      "failureThreshold": 60
    },
    "liveness": {
      "periodSeconds": 10,
      "timeoutSeconds": 5,
      "failureThreshold": 6
    },
    "readiness": {
      "periodSeconds": 2,
      "timeoutSeconds": 2,
      "failureThreshold": 3
    }
  },
  "podSecurityContext": {},
  "securityContext": {},
  "podLabels": {},
  "podAnnotations": {},
  "nodeSelector": {},
  "tolerations": [],
  "affinity": {},
  "topologySpreadConstraints": [],
  "dnsPolicy": "",
  "dnsConfig": {},
  "hostAliases": [],
  "extraArgs": [],
  "extraEnv": [],
  "extraContainers": [],
  "initContainers": [],
  "extraVolumes": [],
  "extraVolumeMounts": [],
  "extraObjects": [],
  "test": {
    "enabled": true,
    "did": "+999000000001",
    "timeoutSeconds": 60
  }
}
{{- end }}
