-- SPDX-License-Identifier: Apache-2.0
DROP TABLE ficus.capture_term;
