# SPDX-License-Identifier: Apache-2.0
"""Values of the OCI specifications: digests, descriptors, references, image documents, mounts.

Nothing here touches the operating system. This file imports nothing: `oci.mount` lies on the boot path, and the
modules built on msgspec must not be dragged along.
"""
