#!/usr/bin/perl

# net_hostile.t as a host where nobody may make namespaces.

use strict;
use warnings;

BEGIN { $ENV{APW_TEST_NO_USERNS} = 1 }
use FindBin ();
use lib "$FindBin::Bin/lib";

do "$FindBin::Bin/net_hostile.t" or die $@ || $!;
