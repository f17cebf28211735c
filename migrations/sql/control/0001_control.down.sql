-- SPDX-License-Identifier: Apache-2.0
DROP SCHEMA ficus CASCADE;
