#!/usr/bin/perl

# net_other.t where nobody may make namespaces.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib";

BEGIN { $ENV{APW_TEST_NO_USERNS} = 1 }

do "$FindBin::Bin/net_other.t" or die $@ || $!;
